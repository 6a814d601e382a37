"""Fundamental frequency (YIN) and harmonicity of each frame of a wave, both from the autocorrelation of the frame."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.arrays.arguments import check_arguments
from specjax.arrays.axes import pad_axis
from specjax.arrays.batching import map_examples
from specjax.signal.fourier import irfft, rfft
from specjax.signal.polar import squared
from specjax.signal.shapes import ByFrame, Wave
from specjax.signal.short_time_fourier import Stft, frame_wave
from specjax.signal.windows import window

Frame = Float[Array, " n_fft"]

_CPU_BATCH_SIZE = 256  # frames processed at a time on a CPU; the spectra of all frames would take too much memory


@check_arguments
@partial(jax.jit, static_argnames=("sample_rate", "fmin_hz", "fmax_hz", "transform", "threshold"))
def yin(
    wave: Wave, sample_rate: int, *, fmin_hz: float, fmax_hz: float, transform: Stft = Stft(), threshold: float = 0.1
) -> ByFrame:
    """Estimate the fundamental frequency of each frame in Hz with YIN (de Cheveigne and Kawahara 2002).

    YIN computes the normalized difference function, which compares a frame with a copy of itself delayed by each lag.
    It is near 0 where the lag is a period. The period is the first local minimum below `threshold`, or the global
    minimum if there is none. A parabola through this minimum and its two neighbors gives the period to a fraction of a
    sample. As in librosa, samples beyond the end of the frame count as 0.

    Unvoiced frames get a frequency too, but it has no meaning. `harmonicity` tells voiced frames from unvoiced ones.

    Args:
      wave: shape `(*batch, samples)`.
      sample_rate: in Hz.
      fmin_hz: lowest frequency to search. A frame must be longer than one period of it.
      fmax_hz: highest frequency to search, at most half the sample rate.
      transform: STFT parameters that define the frames: frame length, hop length and padding.
      threshold: upper limit of the normalized difference at the period. The difference is 0 for a tone and about 1 for
        noise.

    Returns:
      Frequencies of shape `(*batch, frames)`.

    Raises:
      ValueError: the frequency range is empty, or it does not fit the frame length or the sample rate.
    """
    shortest, longest = _period_range(sample_rate, fmin_hz, fmax_hz, transform.n_fft, min_periods=1)
    period = _map_frames(
        partial(_find_period, shortest=shortest, longest=longest, threshold=threshold), wave, transform
    )
    return sample_rate / period


@check_arguments
@partial(jax.jit, static_argnames=("sample_rate", "fmin_hz", "fmax_hz", "transform"))
def harmonicity(wave: Wave, sample_rate: int, *, fmin_hz: float, fmax_hz: float, transform: Stft = Stft()) -> ByFrame:
    """Estimate which fraction of each frame's power is periodic, from 0 (silence) to 1 (a tone) (Boersma 1993).

    A harmonicity of h corresponds to a harmonics-to-noise ratio of `10 log10(h / (1 - h))` dB.

    Args:
      wave: shape `(*batch, samples)`.
      sample_rate: in Hz.
      fmin_hz: lowest frequency to search. A frame must be longer than three periods of it.
      fmax_hz: highest frequency to search, at most half the sample rate.
      transform: STFT parameters that define the frames. The window is always a Hann window.

    Returns:
      Fractions of shape `(*batch, frames)`.

    Raises:
      ValueError: the frequency range is empty, or it does not fit the frame length or the sample rate.
    """
    shortest, longest = _period_range(sample_rate, fmin_hz, fmax_hz, transform.n_fft, min_periods=3)
    return _map_frames(partial(_find_peak, shortest=shortest, longest=longest), wave, transform)


def _find_period(frame: Frame, shortest: int, longest: int, threshold: float) -> Float[Array, ""]:
    """Find the period of a frame in samples with YIN.

    Args:
      frame: the frame, shape `(n_fft,)`.
      shortest, longest: range of periods to search, in samples.
      threshold: the period is the first local minimum of the normalized difference function below this value, or the
        global minimum if there is none.
    """
    difference = _compute_difference(frame, longest)
    mean = jnp.cumsum(difference) / np.arange(1, longest + 1, dtype=np.float32)
    normalized = safe.divide(difference, mean)[shortest - 1 :]
    before, here, after = normalized[:-2], normalized[1:-1], normalized[2:]
    first = normalized[:1] < normalized[1:2]
    inner = (here < before) & (here <= after)
    trough = jnp.concatenate([first, inner, jnp.zeros_like(first)]) & (normalized < threshold)
    index = jnp.where(jnp.any(trough), jnp.argmax(trough), jnp.argmin(normalized))

    curvature, slope = after + before - 2 * here, (after - before) / 2
    curved = jnp.abs(slope) < jnp.abs(curvature)  # the vertex lies within one sample
    shift = pad_axis(jnp.where(curved, -slope / jnp.where(curved, curvature, 1.0), 0.0), 1, 1)
    return (shortest + index).astype(shift.dtype) + shift[index]


def _find_peak(frame: Frame, shortest: int, longest: int) -> Float[Array, ""]:
    """Find the highest peak of the normalized autocorrelation of a frame (Boersma 1993).

    Args:
      shortest, longest: range of lags to search, in samples.

    Returns:
      The height of the peak, in [0, 1]; 0 if there is no peak.
    """
    taper = window("hann", len(frame))
    of_window = _autocorrelate(jnp.asarray(taper), longest)
    of_frame = _autocorrelate((frame - jnp.mean(frame)) * taper, longest)
    # The window lowers the autocorrelation at long lags. Division by the autocorrelation of the window undoes this.
    correlation = safe.divide(of_frame, of_frame[:1]) / (of_window / of_window[0])
    before, here, after = (correlation[shortest - 1 + i : longest - 1 + i] for i in range(3))
    peak = (here > before) & (here >= after)
    curvature = jnp.where(peak, before - 2 * here + after, -1.0)
    height = here - (after - before) ** 2 / (8 * curvature)
    return jnp.clip(jnp.max(jnp.where(peak, height, 0.0)), 0.0, 1.0)


def _map_frames(function: Callable[[Frame], Float[Array, ""]], wave: Wave, transform: Stft) -> ByFrame:
    """Cut waves into frames, and apply a function to every frame: the result has shape `(*batch, frames)`.

    Every frame is scaled to a peak of 1 first, so that squares of its samples neither underflow nor overflow.

    Args:
      function: maps one frame of `n_fft` samples to a number. The number must not depend on the scale of the frame.
      transform: STFT parameters that define the frames: frame length, hop length and padding.
    """
    frames = frame_wave(wave, transform)
    scaled = safe.divide(frames, jax.lax.stop_gradient(jnp.max(jnp.abs(frames), axis=-1, keepdims=True)))
    count = int(np.prod(frames.shape[:-1]))
    result = map_examples(function, batch_size=_CPU_BATCH_SIZE)(scaled.reshape(count, transform.n_fft))
    return result.reshape(frames.shape[:-1])


def _period_range(sample_rate: int, fmin_hz: float, fmax_hz: float, n_fft: int, *, min_periods: int) -> tuple[int, int]:
    """Convert a frequency range to the shortest and the longest period in samples.

    The shortest period is rounded down, and the longest is rounded up.

    Raises:
      ValueError: the range is empty, reaches above half the sample rate, or is so narrow that the two periods differ by
        less than 2 samples; or a frame of `n_fft` samples is not longer than `min_periods` times the longest period.
    """
    if not 0 < fmin_hz < fmax_hz <= sample_rate / 2:
        raise ValueError(
            f"fmin_hz={fmin_hz} must be above 0 and below fmax_hz={fmax_hz}, which must be at most half of "
            f"the sample rate of {sample_rate} Hz"
        )
    shortest, longest = int(sample_rate / fmax_hz), int(np.ceil(sample_rate / fmin_hz))
    if min_periods * longest >= n_fft:
        raise ValueError(
            f"frames of n_fft={n_fft} samples are too short for fmin_hz={fmin_hz}: they must be longer than "
            f"{min_periods} x {longest} samples"
        )
    if longest - shortest < 2:
        raise ValueError(f"no period lies between {fmin_hz} and {fmax_hz} Hz at {sample_rate} Hz: widen the range")
    return shortest, longest


def _compute_difference(frame: Frame, longest: int) -> Float[Array, " longest"]:
    """Compute the difference function of YIN: the sum over n of `(x[n] - x[n + lag])^2` for lags from 1 to `longest`.

    Samples beyond the end of the frame x count as 0.
    """
    correlation = _autocorrelate(frame, longest)
    lost = jnp.cumsum(frame**2)[:longest]
    return 2 * (correlation[:1] - correlation[1:]) - lost


def _autocorrelate(frame: Frame, longest: int) -> Float[Array, " lags"]:
    """Compute the autocorrelation of a frame at lags from 0 to `longest`; samples outside the frame count as 0."""
    length = 2 ** int(np.ceil(np.log2(len(frame) + longest)))
    power = squared(rfft(frame, length))
    return irfft(jax.lax.complex(power, jnp.zeros_like(power)), length)[: longest + 1]
