"""Spectrogram presets: named conventions for computing a spectrogram, and for converting it back to magnitudes."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.arrays.arguments import check_arguments
from specjax.signal.level import amplitude_to_db, db_to_amplitude
from specjax.signal.mel import Mel, mel_filters, mel_from_wave
from specjax.signal.shapes import Rows, Wave
from specjax.signal.short_time_fourier import Stft, magnitude

MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 768_000
MAX_RANGE_DB = 200.0  # in dB below the maximum; anything fainter is silence in float32
_LOG_OFFSET = 1e-5  # keeps the logarithm of silence finite


@dataclass(frozen=True)
class Scale:
    """Scale of the values of a spectrogram, for example decibels: a pair of functions that convert to it and back.

    Attributes:
      encode: converts magnitudes to values. It is called as `encode(magnitudes, preset, peak)` with the `Preset` of the
        spectrogram, the settings with which it is computed, and the magnitude that has level 1 on a relative scale.
      decode: converts values to magnitudes. It is called as `decode(values, preset)`.
      max_value: greatest value to accept from a file, far above the values of any real sound.
      min_value: least value to accept from a file. No scale stores decibels, so lower values are
        probably decibels.
    """

    encode: Callable[[Rows, "Preset", Float[Array, "..."]], Rows]
    decode: Callable[[Rows, "Preset"], Rows]
    max_value: float
    min_value: float


def _encode_peak_db(levels: Rows, preset: "Preset", peak: Float[Array, "..."]) -> Rows:
    relative = safe.divide(levels, peak)
    return amplitude_to_db(relative, amin=10 ** (-preset.range_db / 20)) / preset.range_db + 1


SCALES = {
    "magnitude": Scale(lambda levels, *_: levels, lambda values, _: values, max_value=1e9, min_value=0.0),
    "power": Scale(lambda levels, *_: levels**2, lambda values, _: safe.sqrt(values), max_value=1e18, min_value=0.0),
    "log_power": Scale(
        lambda levels, *_: jnp.log(_LOG_OFFSET + levels**2),
        lambda values, _: safe.sqrt(jnp.exp(values) - _LOG_OFFSET),
        max_value=40.0,
        min_value=-24.0,  # Other programs add 1e-10 instead of 1e-5.
    ),
    "log1p": Scale(
        lambda levels, *_: jnp.log1p(levels), lambda values, _: jnp.expm1(values), max_value=20.0, min_value=0.0
    ),
    "peak_db": Scale(
        _encode_peak_db,
        lambda values, preset: jnp.where(values > 0, db_to_amplitude((values - 1) * preset.range_db), 0.0),
        max_value=1.01,
        min_value=-0.01,
    ),
}


@dataclass(frozen=True)
class Preset:
    """Convention that defines how a spectrogram is computed from a wave.

    Attributes:
      sample_rate: sample rate of the wave in Hz.
      transform: parameters of the short-time Fourier transform.
      mel: parameters of the mel filters, which are applied to the power. None means no mel filters: the rows of the
        spectrogram are frequency bins.
      scale: scale of the values, a key of `SCALES`.
        `magnitude`: magnitude of the STFT, or square root of the mel power.
        `power`: square of the magnitude.
        `log_power`: `log(1e-5 + power)`.
        `log1p`: `log(1 + magnitude)`.
        `peak_db`: level in [0, 1]. The greatest magnitude of the clip has level 1, see `encode`. Magnitudes that are
          lower by `range_db` or more have level 0. Between them, the level is linear in dB.
      range_db: dynamic range of the scale `peak_db`, in dB.
      frames_multiple: frames at the end are dropped until the number of frames is a multiple of this.
      top_first: if true, row 0 is the highest frequency; otherwise the lowest.

    Raises:
      ValueError: a value is out of range, or `scale` is unknown.
    """

    sample_rate: int
    transform: Stft
    mel: Mel | None = None
    scale: str = "power"
    range_db: float = 80.0
    frames_multiple: int = 1
    top_first: bool = False

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"scale={self.scale!r} is unknown: choose one of {', '.join(SCALES)}")
        if not 0 < self.range_db <= MAX_RANGE_DB or self.frames_multiple < 1:
            raise ValueError(
                f"range_db={self.range_db} must be above 0 and at most {MAX_RANGE_DB:g}, "
                f"frames_multiple={self.frames_multiple} at least 1"
            )
        if not MIN_SAMPLE_RATE <= self.sample_rate <= MAX_SAMPLE_RATE:
            raise ValueError(
                f"sample_rate={self.sample_rate} must lie between {MIN_SAMPLE_RATE} and {MAX_SAMPLE_RATE} Hz"
            )

    @property
    def rows(self) -> int:
        """Number of rows of a spectrogram: mel filters, or frequency bins if there are none."""
        return self.mel.n_mels if self.mel else self.transform.bins


PRESETS = {
    # For pictures and their inversion: fine enough for musical pitch, with the dynamic range of 16-bit audio.
    "picture": Preset(22050, Stft(1024, 256), None, "peak_db", range_db=96.0),
    "librosa": Preset(22050, Stft(), Mel()),
    # MELodyGAN, section 3.3, with torchaudio's conventions.
    "melodygan": Preset(22050, Stft(2048, 512, pad_mode="reflect"), Mel(scale="htk", norm="none"), "log_power"),
    # MVNet, section 3.1. Its published code uses power without a logarithm, a range too wide for a network.
    "mvnet": Preset(22050, Stft(1024, 256), Mel(), "log_power"),
    # Wyse, the files published with his style transfers.
    "wyse": Preset(22050, Stft(512, 128, center=False), None, "peak_db", frames_multiple=4, top_first=True),
    # Ulyanov and Lebedev, the input of the random network.
    "ulyanov": Preset(22050, Stft(2048, 512), None, "log1p"),
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Spectrogram:
    """Spectrogram, with the settings with which it was computed.

    Attributes:
      values: shape `(*batch, rows, frames)`, on the scale of the preset. A row is a frequency bin or a mel filter.
      preset: sample rate, short-time Fourier transform, mel filters and scale with which the values were computed.
    """

    values: Rows
    preset: Preset = field(metadata={"static": True})


@check_arguments
def spectrogram(wave: Wave, preset: Preset) -> Spectrogram:
    """Compute the spectrogram of a wave.

    Args:
      wave: shape `(*batch, samples)`, at the sample rate of the preset.
      preset: the short-time Fourier transform, mel filters and scale to use.

    Raises:
      ValueError: the wave is shorter than one frame, or has fewer than `preset.frames_multiple` frames.
    """
    return encode(wave_magnitudes(wave, preset), preset)


def wave_magnitudes(wave: Wave, preset: Preset) -> Rows:
    """Compute the magnitudes that the spectrogram of a wave encodes, with the lowest frequency in row 0.

    If the preset has mel filters, the magnitude in a row is the square root of the power in a filter.

    Args:
      wave: shape `(*batch, samples)`, at the sample rate of the preset.
      preset: the short-time Fourier transform and mel filters to use.

    Raises:
      ValueError: the wave is shorter than one frame, or has fewer than `preset.frames_multiple` frames.
    """
    kept = preset.transform.frames(wave.shape[-1]) // preset.frames_multiple * preset.frames_multiple
    if not kept:
        raise ValueError(
            f"a wave of {wave.shape[-1]} samples has fewer than {preset.frames_multiple} frames: use a longer wave"
        )
    if preset.mel:
        filters = mel_filters(preset.mel, preset.sample_rate, preset.transform.n_fft)
        levels = safe.sqrt(mel_from_wave(wave, preset.transform, filters))
    else:
        levels = magnitude(wave, preset.transform)
    return levels[..., :kept]


def encode(levels: Rows, preset: Preset, peak: Float[Array, "..."] | None = None) -> Spectrogram:
    """Convert magnitudes to a spectrogram. This inverts `magnitudes`, up to the level on the scale `peak_db`.

    Args:
      levels: result of `wave_magnitudes`, shape `(*batch, rows, frames)`.
      preset: scale and order of the rows.
      peak: magnitude that has level 1 on the scale `peak_db`; other scales do not use it. It broadcasts against
        `levels`. None: the greatest magnitude of each clip. A common peak keeps the balance between the clips of a
        batch, such as the channels of a sound.
    """
    reference = jnp.max(levels, axis=(-2, -1), keepdims=True) if peak is None else peak
    values = SCALES[preset.scale].encode(levels, preset, reference)
    return Spectrogram(values[..., ::-1, :] if preset.top_first else values, preset)


def magnitudes(spectrogram: Spectrogram, preset: Preset) -> Rows:
    """Convert a spectrogram back to magnitudes of shape `(*batch, rows, frames)`, with the lowest frequency in row 0.

    If the spectrogram has mel filters, the magnitude in a row is the square root of the power in a filter. If its
    values are in dB relative to the greatest magnitude (scale `peak_db`), the absolute level is unknown, and the
    greatest magnitude becomes 1.

    Args:
      spectrogram: the spectrogram to convert.
      preset: the preset (settings) that the spectrogram was computed with.

    Raises:
      ValueError: the spectrogram was computed with another preset.
    """
    check_preset(spectrogram, preset)
    values = spectrogram.values[..., ::-1, :] if preset.top_first else spectrogram.values
    return jnp.maximum(SCALES[preset.scale].decode(values, preset), 0.0)


def check_preset(spectrogram: Spectrogram, preset: Preset) -> None:
    """Check that a spectrogram was computed with `preset`.

    Raises:
      ValueError: the spectrogram was computed with another preset. The message lists the fields that differ.
    """
    actual, expected = spectrogram.preset, preset
    if names := [f.name for f in fields(Preset) if getattr(actual, f.name) != getattr(expected, f.name)]:
        differences = "; ".join(f"{name} is {getattr(actual, name)}, not {getattr(expected, name)}" for name in names)
        raise ValueError(f"the spectrogram was computed with another preset: {differences}: use the same preset")
