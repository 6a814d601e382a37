"""Fundamental frequency and harmonicity of waves, frame by frame, from their autocorrelation."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.arrays.axes import pad_axis
from specjax.arrays.batching import map_examples
from specjax.signal.fourier import irfft, rfft
from specjax.signal.polar import squared
from specjax.signal.shapes import ByFrame, Wave
from specjax.signal.stft import Stft, frames_of
from specjax.signal.windows import window

Frame = Float[Array, " n_fft"]

_TOGETHER = 256  # frames at a time on a CPU: their spectra take many times the room of the wave


@partial(jax.jit, static_argnames=("sample_rate", "fmin_hz", "fmax_hz", "transform", "threshold"))
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
    period = _each(partial(_period, shortest=shortest, longest=longest, threshold=threshold), wave, transform)
    return sample_rate / period


@partial(jax.jit, static_argnames=("sample_rate", "fmin_hz", "fmax_hz", "transform"))
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
    return _each(partial(_peak, shortest=shortest, longest=longest), wave, transform)


def _period(frame: Frame, shortest: int, longest: int, threshold: float) -> Float[Array, ""]:
    """In samples, by YIN."""
    difference = _difference(frame, longest)
    mean = jnp.cumsum(difference) / np.arange(1, longest + 1, dtype=np.float32)
    normalised = safe.divide(difference, mean)[shortest - 1 :]
    before, here, after = normalised[:-2], normalised[1:-1], normalised[2:]
    first = normalised[:1] < normalised[1:2]
    inner = (here < before) & (here <= after)
    trough = jnp.concatenate([first, inner, jnp.zeros_like(first)]) & (normalised < threshold)
    place = jnp.where(jnp.any(trough), jnp.argmax(trough), jnp.argmin(normalised))

    curvature, slope = after + before - 2 * here, (after - before) / 2
    curved = jnp.abs(slope) < jnp.abs(curvature)
    shift = pad_axis(jnp.where(curved, -slope / jnp.where(curved, curvature, 1.0), 0.0), 1, 1)
    return (shortest + place).astype(shift.dtype) + shift[place]


def _peak(frame: Frame, shortest: int, longest: int) -> Float[Array, ""]:
    """The highest of the normalised autocorrelation, by Boersma."""
    taper = window("hann", len(frame))
    alone = _autocorrelation(jnp.asarray(taper), longest)
    together = _autocorrelation((frame - jnp.mean(frame)) * taper, longest)
    correlation = safe.divide(together, together[:1]) / (alone / alone[0])
    before, here, after = (correlation[shortest - 1 + i : longest - 1 + i] for i in range(3))
    peak = (here > before) & (here >= after)
    bend = jnp.where(peak, before - 2 * here + after, -1.0)
    height = here - (after - before) ** 2 / (8 * bend)
    return jnp.clip(jnp.max(jnp.where(peak, height, 0.0)), 0.0, 1.0)


def _each(function: Callable[[Frame], Float[Array, ""]], wave: Wave, transform: Stft) -> ByFrame:
    """Of every frame, as loud as can be without changing what is asked of it: squares neither vanish nor overflow."""
    frames = frames_of(wave, transform)
    levelled = safe.divide(frames, jax.lax.stop_gradient(jnp.max(jnp.abs(frames), axis=-1, keepdims=True)))
    count = int(np.prod(frames.shape[:-1]))
    found = map_examples(function, together=_TOGETHER)(levelled.reshape(count, transform.n_fft))
    return found.reshape(frames.shape[:-1])


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


def _difference(frame: Frame, longest: int) -> Float[Array, " longest"]:
    """Squared difference of a frame from itself, moved by 1 to `longest` samples; zeros follow the frame."""
    correlation = _autocorrelation(frame, longest)
    lost = jnp.cumsum(frame**2)[:longest]
    return 2 * (correlation[:1] - correlation[1:]) - lost


def _autocorrelation(frame: Frame, longest: int) -> Float[Array, " lags"]:
    """Lags 0 to `longest`, zeros following the frame."""
    length = 2 ** int(np.ceil(np.log2(len(frame) + longest)))
    power = squared(rfft(frame, length))
    return irfft(jax.lax.complex(power, jnp.zeros_like(power)), length)[: longest + 1]
