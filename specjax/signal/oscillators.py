"""Additive synthesis: a bank of sines with amplitudes given by a spectrogram.

Phases are stored as unsigned 32-bit fractions of a turn, which wrap as phases do. So a frequency is exact to
`sample_rate / 2^32` Hz and never drifts, however long the sound.

The whole bank is two matrix products:

- The sound is cut into frames. Near a frame edge, `sin(a + b) = sin a cos b + cos a sin b` splits a sine into its phase
  a at the edge and its advance b from the edge. The advance is the same at every edge.
- Cosine is even and sine is odd. So the sum of the two products gives the samples after the edge, and their difference
  gives the samples before it.
- A piecewise linear amplitude is a sum of triangles centered on the edges. So the pieces around each edge are weighted
  with a triangle, and overlapping pieces are added.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, Float, UInt32

TURN = 2**32


def phase_increment(frequencies_hz: Float[np.ndarray, "*rows"], sample_rate: int) -> UInt32[np.ndarray, "*rows"]:
    """Convert frequencies to phase increments: turns per sample, in units of `2^-32` turns.

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


def additive_synthesis(
    amplitudes: Float[Array, "rows columns"],
    increment: UInt32[Array, " rows"] | UInt32[np.ndarray, " rows"],
    phases: Float[Array, " rows"],
    samples: int,
) -> Float[Array, " samples"]:
    """Compute the sum over rows of `A(t) sin(2 pi f t + phase)`.

    Args:
      amplitudes: amplitude of each row; columns are equal spans of time. At the edge between two columns the amplitude
        is the mean of the two, and it is linear from edge to edge. So there are no clicks, and a single loud column
        between silent ones reaches half its amplitude.
      increment: `phase_increment` of the frequency of each row.
      phases: initial phase of each row in radians.
      samples: length of the sound in samples, above 0.

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
    """Interpolate amplitudes linearly between column centers, at the edges of frames of `width` samples."""
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
    """Compute sine and cosine of the phase of every row at the frame edges.

    Sines and cosines are evaluated at every 32nd edge and at the 32 offsets between. The angle addition formulas give
    all edges from these. The number of edges is rounded up to a multiple of 32.
    """
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
    """Compute sine and cosine in a call that XLA does not inline.

    Fused into a consumer, they would be recomputed for every element that uses them.
    """
    with set_xla_metadata(inlineable="false"):
        return _sin_cos_jit(angle)


@jax.jit
def _sin_cos_jit(angle: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    return jnp.sin(angle), jnp.cos(angle)


def _radians(turns: UInt32[Array, "..."]) -> Float[Array, "..."]:
    # As signed integers the angles lie within half a turn of zero, where float32 is most precise.
    return turns.astype(jnp.int32).astype(jnp.float32) * np.float32(2 * np.pi / TURN)
