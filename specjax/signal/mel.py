"""Mel scales, mel filters, mel spectrograms, cepstral coefficients (MFCC) and deltas.

There are two mel scales. The scale `slaney` (Malcolm Slaney's Auditory Toolbox, librosa's default) is linear up to 1
kHz and logarithmic above. The scale `htk` (the HTK book, torchaudio's default) is `2595 log10(1 + f / 700)` for a
frequency f in Hz.
"""

import warnings
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from specjax.arrays.arguments import check_arguments
from specjax.arrays.axes import pad_axis
from specjax.arrays.batching import map_examples
from specjax.signal import split_radix
from specjax.signal.level import power_to_db
from specjax.signal.polar import squared
from specjax.signal.shapes import Magnitude, Wave
from specjax.signal.short_time_fourier import Stft

SCALES = ("slaney", "htk")
NORMS = ("slaney", "none")

_LINEAR_HZ = 200.0 / 3  # Hz per mel below the break frequency
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ
_LOG_STEP = np.log(6.4) / 27  # increase of log frequency per mel above the break frequency

_EXACT = jax.lax.Precision.HIGHEST  # by default accelerators round the factors of a product to 8 or 10 bits

Numbers = Float[np.ndarray, "..."]
Filters = Float[np.ndarray, "n_mels bins"]
MelPower = Float[Array, "*batch n_mels frames"]


@dataclass(frozen=True)
class Mel:
    """Parameters of a bank of triangular filters whose centers are equally spaced on a mel scale.

    Attributes:
      n_mels: number of filters.
      fmin_hz: lower edge of the first filter.
      fmax_hz: upper edge of the last filter; 0: half the sample rate.
      scale: mel scale, one of `SCALES`.
      norm: `slaney` gives filters of equal area (over frequency in Hz); `none` gives filters of height 1.

    Raises:
      ValueError: a number is out of range or a name is unknown.
    """

    n_mels: int = 128
    fmin_hz: float = 0.0
    fmax_hz: float = 0.0
    scale: str = "slaney"
    norm: str = "slaney"

    def __post_init__(self) -> None:
        if self.n_mels < 1:
            raise ValueError(f"n_mels={self.n_mels} must be at least 1")
        _check_scale(self.scale)
        if self.norm not in NORMS:
            raise ValueError(f"norm={self.norm!r} is unknown: choose one of {', '.join(NORMS)}")
        if not (self.fmin_hz >= 0 and (self.fmax_hz == 0 or self.fmax_hz > self.fmin_hz)):
            raise ValueError(f"fmin_hz={self.fmin_hz} must be 0 or more and below fmax_hz={self.fmax_hz}")


def hz_to_mel(frequency_hz: ArrayLike, scale: str = "slaney") -> Numbers:
    """Convert frequencies in Hz, 0 or more, to mels.

    Args:
      scale: mel scale, one of `SCALES`.

    Raises:
      ValueError: `scale` is unknown.
    """
    _check_scale(scale)
    frequency_hz = np.asarray(frequency_hz, float)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + frequency_hz / 700.0)
    above = _BREAK_MEL + np.log(np.maximum(frequency_hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(frequency_hz < _BREAK_HZ, frequency_hz / _LINEAR_HZ, above)


def mel_to_hz(mel: ArrayLike, scale: str = "slaney") -> Numbers:
    """Convert mels to frequencies in Hz. This is the inverse of `hz_to_mel`.

    Args:
      scale: mel scale, one of `SCALES`.

    Raises:
      ValueError: `scale` is unknown.
    """
    _check_scale(scale)
    mel = np.asarray(mel, float)
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, above)


def corner_frequencies_hz(mel: Mel, sample_rate: int) -> Float[np.ndarray, " corners"]:
    """Compute the center frequencies of all mel filters in Hz, with the outer edges of the first and last filter.

    The result has `n_mels + 2` entries in increasing order: the lower edge of the first filter, the `n_mels` centers
    and the upper edge of the last filter. Filter i is a triangle that begins at entry i, peaks at entry i + 1 and ends
    at entry i + 2.
    """
    low, high = hz_to_mel(np.array([mel.fmin_hz, mel.fmax_hz or sample_rate / 2]), mel.scale)
    return mel_to_hz(np.linspace(low, high, mel.n_mels + 2), mel.scale)


@check_arguments
def mel_filters(mel: Mel, sample_rate: int, n_fft: int) -> Filters:
    """Compute a bank of mel filters: the weight of each frequency bin in each filter.

    A filter narrower than the spacing of bins may contain no bin. Its weights are then 0, and a warning is issued.

    Args:
      mel: parameters of the filters.
      sample_rate: in Hz.
      n_fft: frame length of the Fourier transform in samples.

    Returns:
      Weights of shape `(n_mels, n_fft // 2 + 1)`, float32.

    Raises:
      ValueError: `fmin_hz` is not below half the sample rate, or `fmax_hz` is above it.
    """
    if mel.fmin_hz >= sample_rate / 2 or mel.fmax_hz > sample_rate / 2:
        raise ValueError(
            f"mel filters with fmin_hz={mel.fmin_hz:g} and fmax_hz={mel.fmax_hz:g} reach above half the sample rate of "
            f"{sample_rate} Hz: lower them"
        )
    corner_hz = corner_frequencies_hz(mel, sample_rate)
    bin_hz = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    width_hz = np.diff(corner_hz)[:, None]
    rising = (bin_hz - corner_hz[:-2, None]) / width_hz[:-1]
    falling = (corner_hz[2:, None] - bin_hz) / width_hz[1:]
    height = 2.0 / (corner_hz[2:] - corner_hz[:-2]) if mel.norm == "slaney" else np.ones(mel.n_mels)
    filters = np.maximum(0.0, np.minimum(rising, falling)) * height[:, None]
    if empty := int(np.sum(~filters.any(axis=1))):
        warnings.warn(
            f"{empty} of {mel.n_mels} mel filters contain no bin of n_fft={n_fft}: "
            "choose a smaller n_mels or a larger n_fft",
            stacklevel=2,
        )
    return filters.astype(np.float32)


@check_arguments
def mel_spectrogram(power: Magnitude, filters: Filters | Float[Array, "n_mels bins"]) -> MelPower:
    """Apply mel filters to a power spectrogram of shape `(*batch, bins, frames)`.

    Args:
      filters: weight of each bin in each filter, shape `(n_mels, bins)`, from `mel_filters`.

    Returns:
      The power in each filter, shape `(*batch, n_mels, frames)`.
    """
    return jnp.einsum("mb,...bt->...mt", filters, power, precision=_EXACT)


def mel_from_wave(wave: Wave, transform: Stft, filters: Filters) -> MelPower:
    """Compute the mel power spectrogram of waves, of shape `(*batch, n_mels, frames)`.

    The result is that of `signal.power` followed by `mel_spectrogram`, but it is computed faster on a CPU.

    Args:
      wave: shape `(*batch, samples)`.
      transform: parameters of the short-time Fourier transform.
      filters: weight of each bin in each filter, shape `(n_mels, bins)`, from `mel_filters`.

    Raises:
      ValueError: the wave is shorter than one frame, or the filters do not match the transform's `n_fft`.
    """
    if filters.shape[-1] != transform.bins:
        raise ValueError(
            f"filters of {filters.shape[-1]} bins do not fit n_fft={transform.n_fft}, which has {transform.bins} bins: "
            "compute them for this n_fft"
        )
    # The Fourier transform of `split_radix` takes fewer operations. It returns the bins in several groups.
    weights = tuple(jnp.asarray(filters[:, indices]) for indices in split_radix.bin_indices(transform.n_fft))
    batch, frames = wave.shape[:-1], transform.frames(wave.shape[-1])
    result = _compute_mel(wave.reshape(int(np.prod(batch)), wave.shape[-1]), weights, transform)
    return result.reshape(*batch, len(filters), frames)


@partial(jax.jit, static_argnames="transform")
def _compute_mel(
    waves: Float[Array, "examples samples"], weights: tuple[Float[Array, "n_mels _"], ...], transform: Stft
) -> Float[Array, "examples n_mels frames"]:
    def compute_example(wave: Float[Array, " samples"]) -> Float[Array, "n_mels frames"]:
        groups = zip(weights, split_radix.analyze(wave, transform), strict=True)
        energies = [jnp.einsum("mb,tb->mt", weight, squared(group), precision=_EXACT) for weight, group in groups]
        return sum(energies[1:], energies[0])

    return map_examples(compute_example)(waves)


@check_arguments
def mfcc(mel_power: MelPower, n_mfcc: int = 20, *, lifter: float = 0.0) -> Float[Array, "*batch n_mfcc frames"]:
    """Compute mel-frequency cepstral coefficients: the orthonormal DCT-II, along the filter axis, of mel power in dB.

    The power in dB is clipped to 80 dB below the maximum of each clip.

    Args:
      mel_power: mel power spectrogram, shape `(*batch, n_mels, frames)`.
      n_mfcc: number of coefficients to keep, from the lowest order.
      lifter: if above 0, coefficient n = 0, 1, ... is multiplied by `1 + (lifter / 2) sin(pi (n + 1) / lifter)`.

    Raises:
      ValueError: `n_mfcc` is below 1 or above the number of filters, or `lifter` is negative.
    """
    n_mels = mel_power.shape[-2]
    if not 1 <= n_mfcc <= n_mels or lifter < 0:
        raise ValueError(f"n_mfcc={n_mfcc} must lie between 1 and n_mels={n_mels}, lifter={lifter} must be 0 or more")
    level_db = power_to_db(mel_power, range_db=80.0, axis=(-2, -1))
    order = np.arange(n_mfcc)[:, None]
    cosines = np.cos(np.pi * order * (np.arange(n_mels) + 0.5) / n_mels) * np.sqrt(2 / n_mels)
    cosines[0] /= np.sqrt(2)
    if lifter > 0:
        cosines *= 1 + lifter / 2 * np.sin(np.pi * (order + 1) / lifter)
    return jnp.einsum("cm,...mt->...ct", cosines.astype(np.float32), level_db, precision=_EXACT)


@check_arguments
def delta(values: Float[Array, "*batch frames"], width: int = 9, order: int = 1) -> Float[Array, "*batch frames"]:
    """Compute a derivative along time, the last axis, with a Savitzky-Golay filter.

    A polynomial of degree `order` is fitted to the `width` frames centered on each frame, and its derivative is
    returned. The first and last `width // 2` frames have no complete fit. They repeat the value of the nearest frame
    that has one.

    Args:
      values: one value per frame, shape `(*batch, frames)`.
      width: number of frames per fit, odd, at least 3.
      order: order of the derivative; 1 is the slope per frame.

    Raises:
      ValueError: `width` is even, below 3 or above the number of frames, or `order` is not between 1 and `width - 1`.
    """
    frames, half = values.shape[-1], width // 2
    if width % 2 == 0 or not 3 <= width <= frames or not 1 <= order < width:
        raise ValueError(
            f"width={width} must be odd and from 3 to {frames} (the frames), order={order} from 1 to below it"
        )
    times = np.arange(-half, half + 1.0)
    # This row of the pseudo-inverse maps `width` values to the highest coefficient of the fitted polynomial.
    fit = np.linalg.pinv(times[:, None] ** np.arange(order + 1))[order]
    slope = (fit * np.prod(np.arange(1.0, order + 1))).astype(np.float32)
    inner = sum(
        (slope[i] * values[..., i : i + frames - width + 1] for i in range(1, width)),
        slope[0] * values[..., : frames - width + 1],
    )
    # The derivative of order `order` of a polynomial of degree `order` is constant, so the end values are repeated.
    return pad_axis(inner, half, half, mode="edge")


def _check_scale(scale: str) -> None:
    if scale not in SCALES:
        raise ValueError(f"scale={scale!r} is unknown: choose one of {', '.join(SCALES)}")
