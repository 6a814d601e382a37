"""Spectrograms that know what they were made by: named conventions, and their way back to magnitudes."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields

import jax
import jax.numpy as jnp

from specjax.arrays import safe
from specjax.signal.level import amplitude_to_db, db_to_amplitude
from specjax.signal.mel import Mel, mel_filters, mel_from_wave
from specjax.signal.shapes import Rows, Wave
from specjax.signal.stft import Stft, magnitude

MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 768_000
MAX_RANGE_DB = 200.0  # below that float32 is silence
_LOG_LEAST = 1e-5


@dataclass(frozen=True)
class Scale:
    """How magnitudes become values, and values magnitudes; `most` is far above what any sound has."""

    of: Callable[[Rows, "Preset"], Rows]
    back: Callable[[Rows, "Preset"], Rows]
    most: float


def _peak_db(levels: Rows, preset: "Preset") -> Rows:
    relative = safe.divide(levels, jnp.max(levels, axis=(-2, -1), keepdims=True))
    return amplitude_to_db(relative, least=10 ** (-preset.range_db / 20)) / preset.range_db + 1


SCALES = {
    "magnitude": Scale(lambda levels, _: levels, lambda values, _: values, most=1e9),
    "power": Scale(lambda levels, _: levels**2, lambda values, _: safe.sqrt(values), most=1e18),
    "log_power": Scale(
        lambda levels, _: jnp.log(_LOG_LEAST + levels**2),
        lambda values, _: safe.sqrt(jnp.exp(values) - _LOG_LEAST),
        most=40.0,
    ),
    "log1p": Scale(lambda levels, _: jnp.log1p(levels), lambda values, _: jnp.expm1(values), most=20.0),
    "peak_db": Scale(
        _peak_db,
        lambda values, preset: jnp.where(values > 0, db_to_amplitude((values - 1) * preset.range_db), 0.0),
        most=1.01,
    ),
}


@dataclass(frozen=True)
class Preset:
    """A convention.

    Attributes:
      sample_rate: in Hz, of the waves it is made of.
      mel: a bank of mel filters over the power, or None: the bins themselves.
      scale: of the values. `magnitude`; `power`, its square; `log_power`, `log(1e-5 + power)`; `log1p`,
        `log(1 + magnitude)`; `peak_db`, decibels below the greatest magnitude of the clip, from `-range_db` at 0 to
        the greatest at 1.
      range_db: of `peak_db`.
      frames_multiple: frames at the end are left out until so many divide their number.
      top_first: row 0 is the highest frequency.
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
                f"frames_multiple={self.frames_multiple} above 0"
            )
        if not MIN_SAMPLE_RATE <= self.sample_rate <= MAX_SAMPLE_RATE:
            raise ValueError(
                f"sample_rate={self.sample_rate} Hz must lie between {MIN_SAMPLE_RATE} and {MAX_SAMPLE_RATE}"
            )


PRESETS = {
    # To look at and to invert: bins a musician can tell apart, levels down to what 16 bits of sound hold.
    "picture": Preset(22050, Stft(1024, 256), None, "peak_db", range_db=96.0),
    "librosa": Preset(22050, Stft(), Mel()),
    # MELodyGAN, section 3.3: torchaudio's conventions.
    "melodygan": Preset(22050, Stft(2048, 512, pad_mode="reflect"), Mel(scale="htk", norm="none"), "log_power"),
    # MVNet, section 3.1. Its program feeds bare power, of a range that no network covers.
    "mvnet": Preset(22050, Stft(1024, 256), Mel(), "log_power"),
    # Wyse, the files of his style transfers.
    "wyse": Preset(22050, Stft(512, 128, center=False), None, "peak_db", frames_multiple=4, top_first=True),
    # Ulyanov and Lebedev, the random network's input.
    "ulyanov": Preset(22050, Stft(2048, 512), None, "log1p"),
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Spectrogram:
    """Values and the convention they follow."""

    values: Rows
    preset: Preset = field(metadata={"static": True})


def spectrogram(wave: Wave, preset: Preset) -> Spectrogram:
    """Spectrogram of a wave whose sample rate is the preset's.

    Raises:
      ValueError: the wave is shorter than a frame, or than as many as the preset has at least.
    """
    kept = preset.transform.frames(wave.shape[-1]) // preset.frames_multiple * preset.frames_multiple
    if not kept:
        raise ValueError(f"a wave of {wave.shape[-1]} samples has fewer than {preset.frames_multiple} frames")
    if preset.mel:
        filters = mel_filters(preset.mel, preset.sample_rate, preset.transform.n_fft)
        levels = safe.sqrt(mel_from_wave(wave, preset.transform, filters))
    else:
        levels = magnitude(wave, preset.transform)
    values = SCALES[preset.scale].of(levels[..., :kept], preset)
    return Spectrogram(values[..., ::-1, :] if preset.top_first else values, preset)


def magnitudes(of: Spectrogram, preset: Preset) -> Rows:
    """Magnitudes again, lowest row first: the inverse of the scale. Those of `peak_db` have their greatest at 1.

    Raises:
      ValueError: the spectrogram was made by another preset.
    """
    check_made_by(of, preset)
    values = of.values[..., ::-1, :] if preset.top_first else of.values
    return jnp.maximum(SCALES[preset.scale].back(values, preset), 0.0)


def check_made_by(of: Spectrogram, preset: Preset) -> None:
    """
    Raises:
      ValueError: the spectrogram was made by another preset; it names what differs.
    """
    ours, theirs = of.preset, preset
    if differing := [f.name for f in fields(Preset) if getattr(ours, f.name) != getattr(theirs, f.name)]:
        what = "; ".join(f"{name} is {getattr(ours, name)}, not {getattr(theirs, name)}" for name in differing)
        raise ValueError(f"the spectrogram was made by another preset: {what}")
