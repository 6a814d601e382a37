"""Fundamental frequency and harmonicity of waves, frame by frame, from their autocorrelation."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.signal import safe
from specjax.signal.axes import along, padded
from specjax.signal.fourier import irfft, rfft
from specjax.signal.polar import squared
from specjax.signal.shapes import ByFrame, Wave
from specjax.signal.stft import Stft, frames_of
from specjax.signal.windows import window

Frames = Float[Array, "*batch frames n_fft"]
Lags = Float[Array, "*batch frames lags"]


def yin(
    wave: Wave, sample_rate: int, *, fmin_hz: float, fmax_hz: float, transform: Stft = Stft(), threshold: float = 0.1
) -> ByFrame:
    """Fundamental frequency in Hz, frame by frame, whether voiced or not (de Cheveigne and Kawahara 2002).

    The period is the first minimum of the normalised difference function (their equation 8) below `threshold`, else
    the deepest, placed between samples by a parabola. As in librosa's, what a frame lacks of a difference counts as 0.
    Where there is no tone the frequency means nothing: see `harmonicity`.

    Args:
      fmin_hz, fmax_hz: what is looked for; a frame must hold a period of `fmin_hz`.
      threshold: of the normalised difference, which is 0 for a tone and about 1 for noise.

    Raises:
      ValueError: the range is empty, or outside of what frames and sample rate carry.
    """
    shortest, longest = _periods(sample_rate, fmin_hz, fmax_hz, transform.n_fft, held=1)
    frames = _levelled(frames_of(wave, transform))
    difference = _difference(frames, longest)
    lags = along(np.arange(1, longest + 1, dtype=np.float32), frames.ndim, -1)
    normalised = safe.divide(difference, jnp.cumsum(difference, axis=-1) / lags)[..., shortest - 1 :]

    before, here, after = normalised[..., :-2], normalised[..., 1:-1], normalised[..., 2:]
    first = normalised[..., :1] < normalised[..., 1:2]
    inner = (here < before) & (here <= after)
    trough = jnp.concatenate([first, inner, jnp.zeros_like(first)], axis=-1) & (normalised < threshold)
    found = jnp.any(trough, axis=-1)
    place = jnp.where(found, jnp.argmax(trough, axis=-1), jnp.argmin(normalised, axis=-1))

    curvature, slope = after + before - 2 * here, (after - before) / 2
    curved = jnp.abs(slope) < jnp.abs(curvature)
    shift = padded(jnp.where(curved, -slope / jnp.where(curved, curvature, 1.0), 0.0), 1, 1)
    period = (shortest + place).astype(shift.dtype) + jnp.take_along_axis(shift, place[..., None], axis=-1)[..., 0]
    return sample_rate / period


def harmonicity(wave: Wave, sample_rate: int, *, fmin_hz: float, fmax_hz: float, transform: Stft = Stft()) -> ByFrame:
    """Part of a frame's power that repeats at some period, in [0, 1] (Boersma 1993): 1 for a tone, 0 in silence.

    The greatest peak of the windowed frame's autocorrelation, over that of the window itself. As a ratio of harmonics
    to noise it is `10 log10(h / (1 - h))` dB.

    Args:
      fmin_hz, fmax_hz: what is looked for; a frame must hold three periods of `fmin_hz`.

    Raises:
      ValueError: the range is empty, or outside of what frames and sample rate carry.
    """
    shortest, longest = _periods(sample_rate, fmin_hz, fmax_hz, transform.n_fft, held=3)
    frames = _levelled(frames_of(wave, transform))
    taper = window("hann", transform.n_fft)
    alone = _autocorrelation(jnp.asarray(taper), longest)
    centred = frames - jnp.mean(frames, axis=-1, keepdims=True)
    together = _autocorrelation(centred * along(taper, frames.ndim, -1), longest)
    likeness = safe.divide(together, together[..., :1]) / along(alone / alone[0], together.ndim, -1)
    before, here, after = (likeness[..., shortest - 1 + i : longest - 1 + i] for i in range(3))
    peak = (here > before) & (here >= after)
    bend = jnp.where(peak, before - 2 * here + after, -1.0)
    height = here - (after - before) ** 2 / (8 * bend)
    return jnp.clip(jnp.max(jnp.where(peak, height, 0.0), axis=-1), 0.0, 1.0)


def _periods(sample_rate: int, fmin_hz: float, fmax_hz: float, n_fft: int, *, held: int) -> tuple[int, int]:
    """Shortest and longest period, in samples; a frame must hold so many of the longest."""
    if not 0 < fmin_hz < fmax_hz <= sample_rate / 2:
        raise ValueError(
            f"fmin_hz={fmin_hz} must be above 0 and below fmax_hz={fmax_hz}, that at most half of {sample_rate} Hz"
        )
    shortest, longest = int(sample_rate / fmax_hz), int(np.ceil(sample_rate / fmin_hz))
    if held * longest >= n_fft:
        raise ValueError(
            f"frames of n_fft={n_fft} samples are too short for fmin_hz={fmin_hz}: they must be longer than "
            f"{held} x {longest} samples"
        )
    if longest - shortest < 2:
        raise ValueError(f"there is no period from {fmin_hz} to {fmax_hz} Hz at {sample_rate} Hz")
    return shortest, longest


def _levelled(frames: Frames) -> Frames:
    """Frames as loud as can be without changing what is asked of them, for squares that neither vanish nor overflow."""
    return safe.divide(frames, jax.lax.stop_gradient(jnp.max(jnp.abs(frames), axis=-1, keepdims=True)))


def _difference(frames: Frames, longest: int) -> Lags:
    """Squared difference of every frame from itself, moved by 1 to `longest` samples; zeros follow the frame."""
    correlation = _autocorrelation(frames, longest)
    lost = jnp.cumsum(frames**2, axis=-1)[..., :longest]
    return 2 * (correlation[..., :1] - correlation[..., 1:]) - lost


def _autocorrelation(frames: Float[Array, "*batch n"], longest: int) -> Float[Array, "*batch lags"]:
    """Lags 0 to `longest`, zeros following the frame."""
    length = 2 ** int(np.ceil(np.log2(frames.shape[-1] + longest)))
    power = squared(rfft(frames, length))
    return irfft(jax.lax.complex(power, jnp.zeros_like(power)), length)[..., : longest + 1]
