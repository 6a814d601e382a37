"""Fundamental frequency and harmonicity of waves, frame by frame, from their autocorrelation."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.signal.axes import along
from specjax.signal.fourier import irfft, rfft
from specjax.signal.stft import Stft, frames_of, squared
from specjax.signal.windows import window

Wave = Float[Array, "*batch samples"]
ByFrame = Float[Array, "*batch frames"]


def yin(
    wave: Wave, sample_rate: int, *, fmin_hz: float, fmax_hz: float, transform: Stft = Stft(), threshold: float = 0.1
) -> ByFrame:
    """Fundamental frequency in Hz, frame by frame, whether voiced or not (de Cheveigne and Kawahara 2002).

    The period is the first minimum of the normalised difference function (their equation 8) below `threshold`, else
    the deepest, placed between samples by a parabola. As in librosa's, what a frame lacks of a difference counts as 0.

    Args:
      fmin_hz, fmax_hz: what is looked for; a frame must hold a period of `fmin_hz`.

    Raises:
      ValueError: the range is empty, or outside of what frames and sample rate carry.
    """
    shortest, longest = _periods(sample_rate, fmin_hz, fmax_hz, transform.n_fft)
    frames = frames_of(wave, transform)
    difference = _difference(frames, longest)
    lags = along(np.arange(1, longest + 1, dtype=np.float32), frames.ndim, -1)
    mean = jnp.cumsum(difference, axis=-1) / lags
    moved = mean > 0
    normalised = jnp.where(moved, difference / jnp.where(moved, mean, 1.0), 0.0)[..., shortest - 1 :]

    before, here, after = normalised[..., :-2], normalised[..., 1:-1], normalised[..., 2:]
    first = normalised[..., :1] < normalised[..., 1:2]
    inner = (here < before) & (here <= after)
    trough = jnp.concatenate([first, inner, jnp.zeros_like(first)], axis=-1) & (normalised < threshold)
    found = jnp.any(trough, axis=-1)
    place = jnp.where(found, jnp.argmax(trough, axis=-1), jnp.argmin(normalised, axis=-1))

    curvature, slope = after + before - 2 * here, (after - before) / 2
    curved = jnp.abs(slope) < jnp.abs(curvature)
    shift = jnp.where(curved, -slope / jnp.where(curved, curvature, 1.0), 0.0)
    shift = jnp.pad(shift, [(0, 0)] * (shift.ndim - 1) + [(1, 1)])
    period = (shortest + place).astype(jnp.float32) + jnp.take_along_axis(shift, place[..., None], axis=-1)[..., 0]
    return sample_rate / period


def harmonicity(wave: Wave, sample_rate: int, *, fmin_hz: float, fmax_hz: float, transform: Stft = Stft()) -> ByFrame:
    """Part of a frame's power that repeats at some period, in [0, 1] (Boersma 1993): 1 for a tone, 0 in silence.

    The greatest value of the windowed frame's autocorrelation, over that of the window itself. As a ratio of harmonics
    to noise it is `10 log10(h / (1 - h))` dB.

    Args:
      fmin_hz, fmax_hz: range of the period; a frame should hold three of `fmin_hz`.

    Raises:
      ValueError: the range is empty, or outside of what frames and sample rate carry.
    """
    shortest, longest = _periods(sample_rate, fmin_hz, fmax_hz, transform.n_fft)
    frames = frames_of(wave, transform)
    taper = window("hann", transform.n_fft)
    alone = _autocorrelation(jnp.asarray(taper), longest)
    centred = frames - jnp.mean(frames, axis=-1, keepdims=True)
    together = _autocorrelation(centred * along(taper, frames.ndim, -1), longest)
    power = together[..., :1]
    heard = power > 0
    likeness = jnp.where(heard, together / jnp.where(heard, power, 1.0), 0.0)
    likeness = likeness / along(alone / alone[0], likeness.ndim, -1)
    return jnp.clip(jnp.max(likeness[..., shortest:], axis=-1), 0.0, 1.0)


def _periods(sample_rate: int, fmin_hz: float, fmax_hz: float, n_fft: int) -> tuple[int, int]:
    """Shortest and longest period, in samples."""
    if not 0 < fmin_hz < fmax_hz <= sample_rate / 2:
        raise ValueError(
            f"fmin_hz={fmin_hz} must be above 0 and below fmax_hz={fmax_hz}, that at most half of {sample_rate} Hz"
        )
    shortest, longest = int(sample_rate / fmax_hz), min(int(np.ceil(sample_rate / fmin_hz)), n_fft - 1)
    if longest - shortest < 2:
        raise ValueError(f"frames of n_fft={n_fft} samples hold no period from {fmin_hz} to {fmax_hz} Hz")
    return shortest, longest


def _difference(frames: Float[Array, "*batch n"], longest: int) -> Float[Array, "*batch longest"]:
    """Squared difference of every frame from itself, moved by 1 to `longest` samples; zeros follow the frame."""
    correlation = _autocorrelation(frames, longest)
    lost = jnp.cumsum(frames**2, axis=-1)[..., :longest]
    return 2 * (correlation[..., :1] - correlation[..., 1:]) - lost


def _autocorrelation(frames: Float[Array, "*batch n"], longest: int) -> Float[Array, "*batch lags"]:
    """Lags 0 to `longest`, zeros following the frame."""
    padded = 2 ** int(np.ceil(np.log2(frames.shape[-1] + longest)))
    spectrum = squared(rfft(frames, padded))
    return irfft(spectrum.astype(jnp.complex64), padded)[..., : longest + 1]
