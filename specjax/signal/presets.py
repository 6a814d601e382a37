"""Spectrograms that know what they were made by: named conventions, and their way back to magnitudes."""

from dataclasses import dataclass, field, fields

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.signal.level import amplitude_to_db, db_to_amplitude
from specjax.signal.mel import Mel, mel_filters, mel_of_wave
from specjax.signal.stft import Stft, Wave, magnitude

Values = Float[Array, "*batch rows frames"]

SCALES = ("magnitude", "power", "log_power", "log1p", "peak_db")
MAX_SAMPLE_RATE = 768_000
_LOG_LEAST = 1e-5


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
        if self.range_db <= 0 or self.frames_multiple < 1:
            raise ValueError("range_db and frames_multiple must be above 0")
        if not 1 <= self.sample_rate <= MAX_SAMPLE_RATE:
            raise ValueError(f"sample_rate={self.sample_rate} Hz must lie between 1 and {MAX_SAMPLE_RATE}")


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
@dataclass(frozen=True)
class Spectrogram:
    """Values and the convention they follow."""

    values: Values
    preset: Preset = field(metadata={"static": True})


def spectrogram(wave: Wave, preset: Preset) -> Spectrogram:
    """Spectrogram of a wave whose sample rate is the preset's.

    Raises:
      ValueError: the wave is shorter than a frame.
    """
    if preset.mel:
        filters = mel_filters(preset.mel, preset.sample_rate, preset.transform.n_fft)
        values = _root(mel_of_wave(wave, preset.transform, filters))
    else:
        values = magnitude(wave, preset.transform)
    values = values[..., : values.shape[-1] // preset.frames_multiple * preset.frames_multiple]
    values = _scaled(values, preset)
    return Spectrogram(values[..., ::-1, :] if preset.top_first else values, preset)


def magnitudes(of: Spectrogram, preset: Preset) -> Values:
    """Magnitudes again, lowest row first: the inverse of the scale. Those of `peak_db` have their greatest at 1.

    Raises:
      ValueError: the spectrogram was made by another preset.
    """
    check_made_by(of, preset)
    values = of.values[..., ::-1, :] if preset.top_first else of.values
    if preset.scale == "magnitude":
        return jnp.maximum(values, 0.0)
    if preset.scale == "log1p":
        return jnp.maximum(jnp.expm1(values), 0.0)
    if preset.scale == "peak_db":
        return jnp.where(values > 0, db_to_amplitude((values - 1) * preset.range_db), 0.0)
    power = jnp.maximum(jnp.exp(values) - _LOG_LEAST if preset.scale == "log_power" else values, 0.0)
    return _root(power)


def check_made_by(of: Spectrogram, preset: Preset) -> None:
    """
    Raises:
      ValueError: the spectrogram was made by another preset; it names what differs.
    """
    ours, theirs = of.preset, preset
    if differing := [f.name for f in fields(Preset) if getattr(ours, f.name) != getattr(theirs, f.name)]:
        what = "; ".join(f"{name} is {getattr(ours, name)}, not {getattr(theirs, name)}" for name in differing)
        raise ValueError(f"the spectrogram was made by another preset: {what}")


def _root(power: Values) -> Values:
    """Square root whose gradient at zero is zero."""
    heard = power > 0
    return jnp.where(heard, jnp.sqrt(jnp.where(heard, power, 1.0)), 0.0)


def _scaled(values: Values, preset: Preset) -> Values:
    if preset.scale == "power":
        return values**2
    if preset.scale == "log_power":
        return jnp.log(_LOG_LEAST + values**2)
    if preset.scale == "log1p":
        return jnp.log1p(values)
    if preset.scale == "peak_db":
        peak = jnp.max(values, axis=(-2, -1), keepdims=True)
        relative = values / jnp.where(peak > 0, peak, 1.0)
        least = 10 ** (-preset.range_db / 20)
        return amplitude_to_db(relative, least=least) / preset.range_db + 1
    return values
