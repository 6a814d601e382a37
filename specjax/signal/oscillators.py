"""Additive synthesis: a bank of sines whose amplitudes over time are given by a spectrogram.

A phase is stored as an unsigned 32-bit fraction of a turn, and integer overflow wraps it after a full turn. So a
frequency is exact to `sample_rate / 2^32` Hz and never drifts, however long the sound.

All samples are computed with two matrix products:

- The sound is cut into frames. Near a frame edge, `sin(a + b) = sin a cos b + cos a sin b` splits a sine into its phase
  a at the edge and its advance b from the edge. The advance is the same at every edge. One product sums `sin a cos b`
  over all sines, and the other sums `cos a sin b`.
- In b, the first product is even and the second is odd. So their sum gives the samples after the edge, and their
  difference gives the samples before it.
- A piecewise linear amplitude is a sum of triangles centered on the edges. So the samples around each edge are weighted
  with a triangle, and the overlapping results are added.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, Float, UInt32
from numpy.typing import ArrayLike

from specjax.arrays.arguments import check_arguments

TURN = 2**32


def phase_increment(frequencies_hz: ArrayLike, sample_rate: int) -> UInt32[np.ndarray, "..."]:
    """Convert frequencies in Hz to phase increments per sample, in units of `2^-32` turns (a turn is 2 pi radians).

    Raises:
      ValueError: a frequency is negative, not finite, or at or above half the sample rate, where it would alias.
    """
    frequencies_hz = np.asarray(frequencies_hz, np.float64)
    if frequencies_hz.size and not (frequencies_hz.min() >= 0 and frequencies_hz.max() * 2 < sample_rate):
        raise ValueError(
            f"frequencies from {frequencies_hz.min():.1f} to {frequencies_hz.max():.1f} Hz do not fit below half the "
            f"sample rate of {sample_rate} Hz: raise the sample rate or lower the octave"
        )
    return np.round(frequencies_hz / sample_rate * TURN).astype(np.uint64).astype(np.uint32)


@check_arguments
def additive_synthesis(
    amplitudes: Float[Array, "rows columns"],
    increment: UInt32[Array, " rows"] | UInt32[np.ndarray, " rows"],
    phases: Float[Array, " rows"],
    samples: int,
) -> Float[Array, " samples"]:
    """Compute a sum of sines `A(t) sin(2 pi f t + phase)` with time-varying amplitudes A, one sine per row.

    Args:
      amplitudes: amplitude of each sine over time, shape `(rows, columns)`. The columns divide the sound into equal
        parts. At the boundary between two columns, A(t) is the mean of both. Between boundaries, A(t) is linear. So a
        loud column between two silent ones reaches only half its amplitude. A(t) is approximate if
        `samples` is not a multiple of `columns`.
      increment: frequency of each sine, as returned by `phase_increment`.
      phases: initial phase of each sine in radians.
      samples: length of the sound in samples, above 0.

    Returns:
      The sound, shape `(samples,)`.

    Raises:
      ValueError: there are no columns or no samples, or the numbers of rows differ.
    """
    rows, columns = amplitudes.shape
    if not columns or samples < 1:
        raise ValueError(f"{columns} columns of amplitudes and {samples} samples: at least 1 of each is needed")
    if len(increment) != rows or len(phases) != rows:
        raise ValueError(
            f"{rows} rows of amplitudes, {len(increment)} increments and {len(phases)} phases do not match: "
            "pass one increment and one phase per row"
        )
    width, edges = -(-samples // columns), columns + 1
    increment = jnp.asarray(increment)
    amplitude = _amplitudes_at_edges(amplitudes, width, samples)
    sine, cosine = (x[:edges] for x in _sin_cos_at_edges(edges, width, increment, phases))
    advance_sine, advance_cosine = _sin_cos(_radians(increment[:, None] * jnp.arange(width, dtype=jnp.uint32)[None, :]))
    # By default accelerators round the factors of a product to 8 or 10 bits, which would be heard as hiss.
    product = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    even, odd = product(amplitude * sine, advance_cosine), product(amplitude * cosine, advance_sine)
    ramp = (np.arange(width) / width).astype(np.float32)[None, :]
    after = (even + odd)[:-1] * (1 - ramp)
    before = jnp.flip((even - odd)[1:, 1:], axis=1) * ramp[:, 1:]
    return after.at[:, 1:].add(before).reshape(-1)[:samples]


def _amplitudes_at_edges(
    amplitudes: Float[Array, "rows columns"], width: int, samples: int
) -> Float[Array, "edges rows"]:
    """Compute the amplitude of every sine at samples 0, `width`, `2 * width` and so on, `columns + 1` times in all.

    The amplitude given by a column applies at the center of the column. It is interpolated linearly between centers,
    and it is constant before the first center and after the last one.

    Args:
      amplitudes: shape `(rows, columns)`, one row per sine. The columns divide the sound into equal parts.
      width: distance in samples between the positions where amplitudes are computed.
      samples: length of the sound in samples.

    Returns:
      Amplitudes of shape `(columns + 1, rows)`.
    """
    columns = amplitudes.shape[1]
    position = np.clip((np.arange(columns + 1) * width / samples) * columns - 0.5, 0, columns - 1)
    left = np.minimum(position.astype(int), max(columns - 2, 0))
    right = np.minimum(left + 1, columns - 1)
    weight = (position - left).astype(np.float32)[:, None]
    by_column = amplitudes.T
    return by_column[left] * (1 - weight) + by_column[right] * weight


def _sin_cos_at_edges(
    edges: int, width: int, increment: UInt32[Array, " rows"], phases: Float[Array, " rows"]
) -> tuple[Float[Array, "at_least_edges rows"], Float[Array, "at_least_edges rows"]]:
    """Compute sine and cosine of the phase of every sine at samples 0, `width`, `2 * width` and so on.

    Args:
      edges: number of these samples. It is rounded up to a multiple of 32.
      width: distance between these samples.
      increment: phase increment per sample of each sine, from `phase_increment`.
      phases: initial phase of each sine in radians.

    Returns:
      Sines and cosines, each of shape `(edges rounded up, rows)`.
    """
    # To save work, sine and cosine are evaluated only for the phase at every 32nd edge, and for the phase advance over
    # 0 to 31 widths. The angle addition formulas combine both.
    block = 32
    fine = jnp.arange(block, dtype=jnp.uint32) * jnp.uint32(width)
    coarse = jnp.arange(-(-edges // block), dtype=jnp.uint32) * jnp.uint32(block * width)
    sin_a, cos_a = _sin_cos(_radians(coarse[:, None] * increment[None, :]) + phases[None, :])
    sin_b, cos_b = _sin_cos(_radians(fine[:, None] * increment[None, :]))
    sin_a, cos_a, sin_b, cos_b = sin_a[:, None], cos_a[:, None], sin_b[None], cos_b[None]
    rows = len(increment)
    return (
        (sin_a * cos_b + cos_a * sin_b).reshape(-1, rows),
        (cos_a * cos_b - sin_a * sin_b).reshape(-1, rows),
    )


def _sin_cos(angle: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Compute sine and cosine of an angle in radians."""
    # XLA must not inline this call. It would fuse sine and cosine into the operation that uses them, and compute them
    # again for every use.
    with set_xla_metadata(inlineable="false"):
        return _sin_cos_jit(angle)


@jax.jit
def _sin_cos_jit(angle: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    return jnp.sin(angle), jnp.cos(angle)


def _radians(turns: UInt32[Array, "..."]) -> Float[Array, "..."]:
    # Converted to signed integers, the angles lie between -pi and pi, where float32 is most precise.
    return turns.astype(jnp.int32).astype(jnp.float32) * np.float32(2 * np.pi / TURN)
