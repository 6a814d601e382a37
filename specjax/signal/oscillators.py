"""Additive synthesis: a bank of sines whose amplitudes a spectrogram draws.

Phases are kept as 32-bit fractions of a turn, which wrap as phases do: a frequency is exact to
`sample_rate / 2^32` Hz and never drifts, however long the sound.

`sin(a + b) = sin a cos b + cos a sin b` splits a sine near the border of two frames into its phase there and its
advance from there, which is the same at every border. Cosine is even and sine odd, so that one product with each gives
the samples after a border (their sum) and those before it (their difference). A level that moves in straight lines from
border to border is a sum of triangles around them. So a whole bank is two matrix products, and pieces that overlap are
added.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, Float, UInt32

TURN = 2**32


def phase_increment(frequencies_hz: Float[np.ndarray, "*rows"], sample_rate: int) -> UInt32[np.ndarray, "*rows"]:
    """Turns a sample, as 32-bit fractions.

    Raises:
      ValueError: a frequency is negative, or at or above half the sample rate, where it would alias.
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
    """Sum over rows of `A(t) sin(2 pi f t + phase)`.

    Args:
      amplitudes: level of each row over equal spans of time. It moves in straight lines from border to border of the
        spans, where it is the mean of its neighbours: nothing clicks, and a lone loud column is softened to half.
      increment: `phase_increment` of the rows' frequencies.
      phases: in radians, at the start.
      samples: length of the sound, above 0.

    Raises:
      ValueError: no columns or samples, or other numbers of rows.
    """
    rows, columns = amplitudes.shape
    if not columns or samples < 1:
        raise ValueError(f"{columns} columns of amplitudes for {samples} samples: there must be at least one of both")
    if len(increment) != rows or len(phases) != rows:
        raise ValueError(
            f"{rows} rows of amplitudes, {len(increment)} increments and {len(phases)} phases: not the same"
        )
    width, edges = -(-samples // columns), columns + 1
    increment = jnp.asarray(increment)
    level = _levels_at_edges(amplitudes, width, samples)
    sine, cosine = (wave[:edges] for wave in _waves_at_edges(edges, width, increment, phases))
    advance_sine, advance_cosine = _sin_cos(_radians(increment[:, None] * jnp.arange(width, dtype=jnp.uint32)[None, :]))
    # An accelerator would round what it multiplies to ten bits or eight, and hiss.
    product = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    even, odd = product(level * sine, advance_cosine), product(level * cosine, advance_sine)
    rise = (np.arange(width) / width).astype(np.float32)[None, :]
    after = (even + odd)[:-1] * (1 - rise)
    before = jnp.flip((even - odd)[1:, 1:], axis=1) * rise[:, 1:]
    return after.at[:, 1:].add(before).reshape(-1)[:samples]


def _levels_at_edges(amplitudes: Float[Array, "rows columns"], width: int, samples: int) -> Float[Array, "edges rows"]:
    """Amplitudes at the borders of frames of `width` samples, read off the columns' centres by straight lines."""
    columns = amplitudes.shape[1]
    position = np.clip((np.arange(columns + 1) * width / samples) * columns - 0.5, 0, columns - 1)
    left = np.minimum(position.astype(int), max(columns - 2, 0))
    right = np.minimum(left + 1, columns - 1)
    share = (position - left).astype(np.float32)[:, None]
    by_column = amplitudes.T
    return by_column[left] * (1 - share) + by_column[right] * share


def _waves_at_edges(
    edges: int, width: int, increment: UInt32[Array, " rows"], phases: Float[Array, " rows"]
) -> tuple[Float[Array, "at_least_edges rows"], Float[Array, "at_least_edges rows"]]:
    """Sine and cosine of every row at the borders: few true ones, added up as angles to the many."""
    fine = 32
    steps = jnp.arange(fine, dtype=jnp.uint32) * jnp.uint32(width)
    leaps = jnp.arange(-(-edges // fine), dtype=jnp.uint32) * jnp.uint32(fine * width)
    sin_a, cos_a = _sin_cos(_radians(leaps[:, None] * increment[None, :]) + phases[None, :])
    sin_b, cos_b = _sin_cos(_radians(steps[:, None] * increment[None, :]))
    sin_a, cos_a, sin_b, cos_b = sin_a[:, None], cos_a[:, None], sin_b[None], cos_b[None]
    rows = len(increment)
    return (
        (sin_a * cos_b + cos_a * sin_b).reshape(-1, rows),
        (cos_a * cos_b - sin_a * sin_b).reshape(-1, rows),
    )


def _sin_cos(angle: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Kept from fusing into what reads it, where each would be computed anew for every element it meets."""
    with set_xla_metadata(inlineable="false"):
        return _sin_cos_of(angle)


@jax.jit
def _sin_cos_of(angle: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    return jnp.sin(angle), jnp.cos(angle)


def _radians(turns: UInt32[Array, "..."]) -> Float[Array, "..."]:
    # As signed integers the angles lie within half a turn of zero, where float32 is finest.
    return turns.astype(jnp.int32).astype(jnp.float32) * np.float32(2 * np.pi / TURN)
