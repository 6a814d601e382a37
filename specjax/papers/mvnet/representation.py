"""Mel spectrograms of clips, as the encoder sees them (section 2.1 of the paper)."""

from dataclasses import dataclass, replace
from typing import Literal, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays.axes import along_axis
from specjax.signal.mel import Mel, mel_filters, mel_from_wave
from specjax.signal.presets import PRESETS

PRESET = replace(PRESETS["mvnet"], scale="power")
SAMPLE_RATE = PRESET.sample_rate
TRANSFORM = PRESET.transform
FILTERS = mel_filters(cast(Mel, PRESET.mel), SAMPLE_RATE, TRANSFORM.n_fft)
CLIP_S = 8.91
CLIP_SAMPLES = int(CLIP_S * SAMPLE_RATE)
THIRDS = 3
_STARTS = [int(CLIP_S * i / THIRDS * SAMPLE_RATE) for i in range(THIRDS)]  # of the thirds, as in the authors' code
THIRD_SAMPLES = int(CLIP_S / THIRDS * SAMPLE_RATE)
MELS, FRAMES = len(FILTERS), TRANSFORM.frames(THIRD_SAMPLES)

SCALES = ("log", "power")
_FLOOR_POWER = 1e-5  # added to mel power before the logarithm, so that silence has a level of -50 dB
_MIN_DEVIATION_DB = 1e-3  # of bands that are constant

ClipMel = Float[Array, "*batch mels frames thirds"]


@dataclass(frozen=True)
class Statistics:
    """Statistics of the levels of the training clips in each mel band, from the lowest band to the highest.

    Attributes:
      mean_db: mean level.
      deviation_db: standard deviation of the level.
    """

    mean_db: tuple[float, ...]
    deviation_db: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.mean_db) == len(self.deviation_db) == MELS:
            raise ValueError(
                f"statistics.mean_db has {len(self.mean_db)} values and deviation_db {len(self.deviation_db)}, "
                f"expected one for each of {MELS} mel bands"
            )


@dataclass(frozen=True)
class Representation:
    """Scale of the encoder's input.

    A clip of 8.91 s is cut into three thirds, whose mel spectrograms are three channels: shape (128, 256, 3), with the
    lowest band in row 0.

    scale: one of the following.
      `log`: level in dB, `10 log10(power + 1e-5)`, standardized in each band by `statistics`.
      `power`: mel power, as in the authors' code.
    statistics: statistics of the training clips, for the scale `log`. None: computed from the data when training
      starts.
    """

    scale: Literal["log", "power"] = "log"
    statistics: Statistics | None = None

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"representation.scale={self.scale!r} is unknown: choose one of {', '.join(SCALES)}")

    def encode(self, mel_power: ClipMel) -> ClipMel:
        """Convert mel power, 0 or more, to values on the scale.

        Raises:
          ValueError: the scale is `log` and `statistics` is None.
        """
        if self.scale == "power":
            return mel_power
        mean_db, deviation_db = self.bands(mel_power.ndim)
        return (to_level_db(mel_power) - mean_db) / deviation_db

    def decode(self, values: ClipMel) -> ClipMel:
        """Convert values on the scale to mel power, the inverse of `encode`.

        Raises:
          ValueError: the scale is `log` and `statistics` is None.
        """
        if self.scale == "power":
            return values
        mean_db, deviation_db = self.bands(values.ndim)
        return jnp.maximum(10.0 ** (0.1 * (values * deviation_db + mean_db)) - _FLOOR_POWER, 0.0)

    def bands(self, ndim: int) -> tuple[Array | np.ndarray, ...]:
        """Return the mean and the standard deviation of the level of each band, for arrays with `ndim` axes.

        Raises:
          ValueError: `statistics` is None.
        """
        if self.statistics is None:
            raise ValueError("representation.statistics is not set: measure it on the training clips")
        deviation_db = np.maximum(self.statistics.deviation_db, _MIN_DEVIATION_DB)
        return tuple(along_axis(np.asarray(x, np.float32), ndim, -3) for x in (self.statistics.mean_db, deviation_db))


def to_level_db(mel_power: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Convert mel power to levels in dB: `10 log10(power + 1e-5)`."""
    return 10.0 * jnp.log10(mel_power + _FLOOR_POWER)


@jax.jit
def clip_mel(wave: Float[Array, "*batch samples"]) -> ClipMel:
    """Compute the mel power of the thirds of clips of `CLIP_SAMPLES` samples at `SAMPLE_RATE`.

    A third has 65,488 samples (2.97 s). It is padded with zeros by half a frame at both ends.
    """
    thirds = jnp.stack([wave[..., start : start + THIRD_SAMPLES] for start in _STARTS], axis=-2)
    return jnp.moveaxis(mel_from_wave(thirds, TRANSFORM, FILTERS), -3, -1)


def measure_statistics(mel_power: Float[np.ndarray, "clips mels frames thirds"]) -> Statistics:
    """Measure the mean and the standard deviation of the levels of each mel band in training clips."""
    total, total_squares = np.zeros(MELS), np.zeros(MELS)
    for clip in mel_power:
        level_db = 10 * np.log10(clip + np.float32(_FLOOR_POWER))
        total += level_db.mean(axis=(1, 2), dtype=float)
        total_squares += np.mean(level_db.astype(float) ** 2, axis=(1, 2))
    mean_db = total / len(mel_power)
    deviation_db = np.sqrt(np.maximum(total_squares / len(mel_power) - mean_db**2, 0))
    return Statistics(tuple(mean_db.tolist()), tuple(deviation_db.tolist()))
