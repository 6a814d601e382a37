"""The mel scale in its two usual forms, its filters, and cepstra.

`slaney` (Malcolm Slaney's Auditory Toolbox, librosa's default) is linear up to 1 kHz and logarithmic above; `htk` (the
HTK book, torchaudio's default) is `2595 log10(1 + f / 700)`.
"""

import warnings
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays.axes import pad_axis
from specjax.arrays.batching import map_examples
from specjax.signal import folded
from specjax.signal.level import power_to_db
from specjax.signal.polar import squared
from specjax.signal.shapes import Magnitude, Wave
from specjax.signal.stft import Stft

SCALES = ("slaney", "htk")
NORMS = ("slaney", "none")

_LINEAR_HZ = 200.0 / 3  # a mel, below the break
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ
_LOG_STEP = np.log(6.4) / 27  # a mel, above it

_EXACT = jax.lax.Precision.HIGHEST  # an accelerator would round what it multiplies to ten bits or eight

Numbers = Float[np.ndarray, "*shape"]
Filters = Float[np.ndarray, "n_mels bins"]
MelPower = Float[Array, "*batch n_mels frames"]


@dataclass(frozen=True)
class Mel:
    """A bank of triangular filters, spaced equally in mel.

    Attributes:
      n_mels: how many.
      fmin_hz, fmax_hz: where the first begins and the last ends; fmax_hz=0: half the sample rate.
      scale: one of `SCALES`.
      norm: `slaney`, filters of equal area (per hertz); `none`, filters of height 1.
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


def hz_to_mel(frequency_hz: Numbers, scale: str = "slaney") -> Numbers:
    """Mels of frequencies in hertz, 0 or more.

    Raises:
      ValueError: an unknown scale.
    """
    _check_scale(scale)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + frequency_hz / 700.0)
    above = _BREAK_MEL + np.log(np.maximum(frequency_hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(frequency_hz < _BREAK_HZ, frequency_hz / _LINEAR_HZ, above)


def mel_to_hz(mel: Numbers, scale: str = "slaney") -> Numbers:
    """Inverse of `hz_to_mel`."""
    _check_scale(scale)
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, above)


def center_frequencies_hz(mel: Mel, sample_rate: int) -> Float[np.ndarray, " corners"]:
    """Where filters begin, peak and end: filter i from entry i over i + 1 to i + 2."""
    low, high = hz_to_mel(np.array([mel.fmin_hz, mel.fmax_hz or sample_rate / 2]), mel.scale)
    return mel_to_hz(np.linspace(low, high, mel.n_mels + 2), mel.scale)


def mel_filters(mel: Mel, sample_rate: int, n_fft: int) -> Filters:
    """Weight of every bin of a spectrum in every filter, float32.

    Filters narrower than the distance of bins may hold none: it warns of them, as their rows are always 0.

    Raises:
      ValueError: the filters reach to half the sample rate or above it.
    """
    if mel.fmin_hz >= sample_rate / 2 or mel.fmax_hz > sample_rate / 2:
        raise ValueError(
            f"filters from {mel.fmin_hz:g} to {mel.fmax_hz:g} Hz reach above half the sample rate of {sample_rate} Hz"
        )
    corner_hz = center_frequencies_hz(mel, sample_rate)
    bin_hz = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    width_hz = np.diff(corner_hz)[:, None]
    rising = (bin_hz - corner_hz[:-2, None]) / width_hz[:-1]
    falling = (corner_hz[2:, None] - bin_hz) / width_hz[1:]
    height = 2.0 / (corner_hz[2:] - corner_hz[:-2]) if mel.norm == "slaney" else np.ones(mel.n_mels)
    filters = np.maximum(0.0, np.minimum(rising, falling)) * height[:, None]
    if empty := int(np.sum(~filters.any(axis=1))):
        warnings.warn(
            f"{empty} of {mel.n_mels} mel filters hold no bin of n_fft={n_fft}: choose fewer, or longer frames",
            stacklevel=2,
        )
    return filters.astype(np.float32)


def mel_spectrogram(power: Magnitude, filters: Filters | Float[Array, "n_mels bins"]) -> MelPower:
    """Energy in each of `mel_filters`, of a power spectrogram."""
    return jnp.einsum("mb,...bt->...mt", filters, power, precision=_EXACT)


def mel_from_wave(wave: Wave, transform: Stft, filters: Filters) -> MelPower:
    """`mel_spectrogram` of a wave's power: what a filter gathers needs no order of bins.

    Raises:
      ValueError: the wave is shorter than one frame, or the filters are of another n_fft.
    """
    if filters.shape[-1] != transform.bins:
        raise ValueError(f"filters of {filters.shape[-1]} bins are not of n_fft={transform.n_fft} ({transform.bins})")
    weights = tuple(jnp.asarray(filters[:, group]) for group in folded.bins(transform.n_fft))
    batch, frames = wave.shape[:-1], transform.frames(wave.shape[-1])
    found = _mel_of_waves(wave.reshape(int(np.prod(batch)), wave.shape[-1]), weights, transform)
    return found.reshape(*batch, len(filters), frames)


@partial(jax.jit, static_argnames="transform")
def _mel_of_waves(
    waves: Float[Array, "examples samples"], weights: tuple[Float[Array, "n_mels _"], ...], transform: Stft
) -> Float[Array, "examples n_mels frames"]:
    def of_one(wave: Float[Array, " samples"]) -> Float[Array, "n_mels frames"]:
        groups = zip(weights, folded.analyse(wave, transform), strict=True)
        gathered = [jnp.einsum("mb,tb->mt", weight, squared(group), precision=_EXACT) for weight, group in groups]
        return sum(gathered[1:], gathered[0])

    return map_examples(of_one)(waves)


def mfcc(mel_power: MelPower, n_mfcc: int = 20, *, lifter: float = 0.0) -> Float[Array, "*batch n_mfcc frames"]:
    """Mel frequency cepstral coefficients: orthonormal DCT-II over filters of the level in dB, 80 dB deep in each clip.

    Args:
      lifter: above 0, coefficient n counts `1 + lifter / 2 sin(pi (n + 1) / lifter)` times.

    Raises:
      ValueError: more coefficients than filters, or a negative lifter.
    """
    n_mels = mel_power.shape[-2]
    if not 1 <= n_mfcc <= n_mels or lifter < 0:
        raise ValueError(f"n_mfcc={n_mfcc} must lie between 1 and n_mels={n_mels}, and lifter={lifter} be 0 or more")
    level_db = power_to_db(mel_power, range_db=80.0, axis=(-2, -1))
    order = np.arange(n_mfcc)[:, None]
    cosines = np.cos(np.pi * order * (np.arange(n_mels) + 0.5) / n_mels) * np.sqrt(2 / n_mels)
    cosines[0] /= np.sqrt(2)
    if lifter > 0:
        cosines *= 1 + lifter / 2 * np.sin(np.pi * (order + 1) / lifter)
    return jnp.einsum("cm,...mt->...ct", cosines.astype(np.float32), level_db, precision=_EXACT)


def delta(values: Float[Array, "*batch frames"], width: int = 9, order: int = 1) -> Float[Array, "*batch frames"]:
    """Slope a frame along time (`order` 1), or a higher derivative, of polynomials fitted to `width` frames at a time.

    A Savitzky-Golay filter of degree `order`; the first and last frames take theirs from the outermost polynomials.

    Raises:
      ValueError: `width` is even, below 3 or above the number of frames, or `order` is not below it.
    """
    frames, half = values.shape[-1], width // 2
    if width % 2 == 0 or not 3 <= width <= frames or not 1 <= order < width:
        raise ValueError(f"width={width} must be odd, from 3 to {frames} (the frames), and order={order} below it")
    times = np.arange(-half, half + 1.0)
    fit = np.linalg.pinv(times[:, None] ** np.arange(order + 1))[order]  # values of a window -> highest coefficient
    slope = (fit * np.prod(np.arange(1.0, order + 1))).astype(np.float32)
    inner = sum(
        (slope[i] * values[..., i : i + frames - width + 1] for i in range(1, width)),
        slope[0] * values[..., : frames - width + 1],
    )
    # A polynomial of degree `order` has one highest derivative everywhere, its ends included.
    return pad_axis(inner, half, half, mode="edge")


def _check_scale(scale: str) -> None:
    if scale not in SCALES:
        raise ValueError(f"scale={scale!r} is unknown: choose one of {', '.join(SCALES)}")
