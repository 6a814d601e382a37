"""Real-time iterative spectrogram inversion with look-ahead (Zhu, Beauregard and Wyse 2007).

Griffin and Lim's iteration in a short view that slides over the spectrogram: frames that have left it are settled, the
frame about to leave and those after it are still improved. Overlapping frames are averaged by the windows that are
there already, which does for the newest frame what the paper's asymmetric window does.
"""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.signal.axes import along
from specjax.signal.fourier import irfft, rfft
from specjax.signal.framing import frame, overlap_add
from specjax.signal.phase.angle import from_centre
from specjax.signal.phase.online import Online
from specjax.signal.polar import angle, polar, scaled, unit
from specjax.signal.shapes import Bins, Magnitude, Phase
from specjax.signal.stft import Stft

LOOK_AHEAD, ITERATIONS = 3, 8

Frames = Float[Array, "*batch view n_fft"]


class View(NamedTuple):
    """What is in sight: windowed frames, those settled first, and the magnitudes of those that are not."""

    frames: Frames
    magnitude: Float[Array, "*batch open bins"]


def rtisi_la(
    magnitude: Magnitude, transform: Stft, *, look_ahead: int = LOOK_AHEAD, iterations: int = ITERATIONS
) -> Phase:
    """Phases in radians for magnitudes, 0 or more.

    Args:
      look_ahead: frames known beyond the one that is settled.
      iterations: of every step; each frame takes part in `look_ahead + 1` steps.

    Raises:
      ValueError: the transform has no inverse or another number of bins, or a number is out of range.
    """
    if look_ahead < 0 or iterations < 1:
        raise ValueError(f"look_ahead={look_ahead} must be 0 or more and iterations={iterations} at least 1")
    transform.check_invertible()
    transform.check_bins(magnitude)
    return _phases(magnitude, transform, online(look_ahead, iterations))


@partial(jax.jit, static_argnames=("transform", "method"))
def _phases(magnitude: Magnitude, transform: Stft, method: Online) -> Phase:
    """The last frame is taken to go on while the method looks ahead."""
    rows = jnp.moveaxis(magnitude, -1, 0)
    longer = jnp.concatenate([rows, *[rows[-1:]] * method.look_ahead])
    start = method.begin(rows[0], transform)
    _, phase = jax.lax.scan(lambda view, row: method.advance(view, row, transform), start, longer)
    return jnp.moveaxis(phase[method.look_ahead :], 0, -1)


@cache  # so that equal settings are one method, compiled once
def online(look_ahead: int = LOOK_AHEAD, iterations: int = ITERATIONS) -> Online:
    """The method with these settings."""
    return Online(look_ahead, partial(begin, look_ahead=look_ahead), partial(advance, iterations=iterations))


def begin(before: Bins, transform: Stft, *, look_ahead: int) -> View:
    """Silence in sight, whatever was before."""
    settled = -(-transform.n_fft // transform.hop_length) - 1
    batch = before.shape[:-1]
    return View(
        jnp.zeros((*batch, settled + 1 + look_ahead, transform.n_fft)),
        jnp.zeros((*batch, 1 + look_ahead, transform.bins)),
    )


def advance(view: View, newest: Bins, transform: Stft, *, iterations: int) -> tuple[View, Bins]:
    """One more frame comes into sight and one is settled, of which these are the phases in radians."""
    wanted = jnp.concatenate([view.magnitude[..., 1:, :], newest[..., None, :]], axis=-2)
    frames = jnp.concatenate([view.frames[..., 1:, :], jnp.zeros_like(view.frames[..., :1, :])], axis=-2)
    still = frames.shape[-2] - wanted.shape[-2]
    taper = along(transform.taper(), frames.ndim, -1)
    # The newest frame, of which nothing is known yet, adds nothing to the first average.
    first = _averaged(frames, transform, known=frames.shape[-2] - 1)
    spectrum = rfft(first[..., still:, :] * taper)

    # Where no phase is told yet, as at the very beginning, a frame is an impulse at its centre.
    impulse = along(polar(jnp.ones(transform.bins), jnp.asarray(from_centre(transform))), wanted.ndim, -1)

    def once(_: Int[Array, ""], state: tuple[Frames, Array]) -> tuple[Frames, Array]:
        frames, spectrum = state
        direction = unit(spectrum)
        direction = jnp.where(direction == 0, impulse, direction)
        moved = irfft(scaled(direction, wanted), transform.n_fft) * taper
        frames = jnp.concatenate([frames[..., :still, :], moved], axis=-2)
        again = _averaged(frames, transform, known=frames.shape[-2])
        return frames, rfft(again[..., still:, :] * taper)

    frames, spectrum = jax.lax.fori_loop(0, iterations, once, (frames, spectrum))
    return View(frames, wanted), angle(spectrum[..., 0, :])


def _averaged(frames: Frames, transform: Stft, known: int) -> Frames:
    """Every frame's stretch of the wave that the windowed frames make, the last of them not counted in the weights."""
    count = frames.shape[-2]
    weights = np.zeros((count, transform.n_fft), np.float32)
    weights[:known] = transform.taper() ** 2
    weight = overlap_add(jnp.asarray(weights), transform.hop_length)
    summed = overlap_add(frames, transform.hop_length)
    # Where only the foot of one window reaches, its own share is trusted no further than a thousandth of the whole.
    wave = summed / along(jnp.maximum(weight, 1e-3 * jnp.max(weight)), summed.ndim, -1)
    return frame(wave, transform.n_fft, transform.hop_length)
