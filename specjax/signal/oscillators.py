"""Additive synthesis: a bank of sines whose amplitudes a spectrogram draws.

Phases are kept as 32-bit fractions of a turn, which wrap as phases do: a frequency is exact to
`sample_rate / 2^32` Hz and never drifts, however long the sound.

Over a short frame `sin(a + b) = sin a cos b + cos a sin b` splits a sine into its phase at the frame's start and
its advance within the frame, which is the same in every frame. So a whole bank is one small matrix product.
"""

import jax.numpy as jnp
import numpy as np
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
      samples: length of the sound.
    """
    frames = amplitudes.shape[1]
    width = -(-samples // frames)
    start = jnp.arange(frames, dtype=jnp.uint32) * jnp.uint32(width)
    increment = jnp.asarray(increment)[None, :]
    begin = _radians(start[:, None] * increment) + phases[None, :]
    advance = _radians(jnp.arange(width, dtype=jnp.uint32)[:, None] * increment)
    turn = jnp.concatenate([jnp.cos(advance), jnp.sin(advance)], axis=1).T
    first, last = _frame_edges(amplitudes, frames, width, samples)
    sine, cosine = jnp.sin(begin), jnp.cos(begin)
    fading, rising = (jnp.concatenate([level * sine, level * cosine], axis=1) @ turn for level in (first, last))
    ramp = (np.arange(width) / width).astype(np.float32)
    return (fading * (1 - ramp)[None, :] + rising * ramp[None, :]).reshape(-1)[:samples]


def _radians(turns: UInt32[Array, "..."]) -> Float[Array, "..."]:
    # As signed integers the angles lie within half a turn of zero, where float32 is finest.
    return turns.astype(jnp.int32).astype(jnp.float32) * np.float32(2 * np.pi / TURN)


def _frame_edges(
    amplitudes: Float[Array, "rows columns"], frames: int, width: int, samples: int
) -> tuple[Float[Array, "frames rows"], Float[Array, "frames rows"]]:
    """Amplitudes at both ends of each frame, read off the columns' centres by straight lines."""
    columns = amplitudes.shape[1]
    position = np.clip((np.arange(frames + 1) * width / samples) * columns - 0.5, 0, columns - 1)
    left = np.minimum(position.astype(int), max(columns - 2, 0))
    share = (position - left).astype(np.float32)
    right = np.minimum(left + 1, columns - 1)
    edges = (amplitudes[:, left] * (1 - share)[None, :] + amplitudes[:, right] * share[None, :]).T
    return edges[:-1], edges[1:]
