"""Mel spectrograms of music, and the scales of the networks' inputs and outputs (section 3.3 of the paper)."""

from dataclasses import dataclass, replace
from typing import Literal, cast

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays.axes import along_axis
from specjax.signal import inversion
from specjax.signal.inversion import Inversion, Progress
from specjax.signal.mel import Mel, corner_frequencies_hz, mel_filters, mel_from_wave
from specjax.signal.presets import MAX_RANGE_DB, PRESETS, Spectrogram

PRESET = replace(PRESETS["melodygan"], scale="power")
SAMPLE_RATE = PRESET.sample_rate
TRANSFORM = PRESET.transform
FILTERS = mel_filters(cast(Mel, PRESET.mel), SAMPLE_RATE, TRANSFORM.n_fft)
MELS = len(FILTERS)
MELS_HZ = corner_frequencies_hz(cast(Mel, PRESET.mel), SAMPLE_RATE)[1:-1]  # center frequencies
CLIP_SAMPLES = 10 * SAMPLE_RATE
FRAMES = TRANSFORM.frames(CLIP_SAMPLES)

SCALES = ("power", "signed_power", "db")
_CLIP = 3.0  # standard deviations that are mapped to 1
_MIN_DEVIATION_DB = 1e-3  # avoids division by zero for constant bands

MelPower = Float[Array, "*batch mels frames"]
Values = Float[Array, "*batch mels frames"]
Bands = Float[np.ndarray, " mels"]


@dataclass(frozen=True)
class Statistics:
    """Statistics of the mel power of the training clips.

    The level of a mel power p is `10 log10(p / peak_power + 10^(-range_db / 10))` dB, with the `range_db` of the
    representation. So 0 dB is the maximum power of all clips, and silence has the level `-range_db`.

    Attributes:
      peak_power: maximum mel power of all clips, above 0.
      mean_db: mean level of each mel band, from the lowest to the highest.
      deviation_db: standard deviation of the levels of each band.
    """

    peak_power: float
    mean_db: tuple[float, ...]
    deviation_db: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.peak_power > 0:
            raise ValueError(f"statistics.peak_power={self.peak_power} must be above 0")
        if not len(self.mean_db) == len(self.deviation_db) == MELS:
            raise ValueError(
                f"statistics.mean_db has {len(self.mean_db)} values and deviation_db {len(self.deviation_db)}, "
                f"expected one for each of {MELS} mel bands"
            )


@dataclass(frozen=True)
class Representation:
    """Scale of the networks' inputs and outputs, and reconstruction of sound from them.

    Mel power has the lowest band in row 0. A clip of 10 s has the shape (128, 431).

    scale: one of the following.
      `power`: mel power divided by the maximum of the training clips. The values are 0 or more, as in the paper's third
        approach, whose generator ends in a ReLU.
      `signed_power`: the same, mapped from [0, 1] to [-1, 1], the range of the second approach's generator, which ends
        in a tanh.
      `db`: level in dB relative to the maximum power of the training clips, standardized in each band, divided by 3 and
        clipped to [-1, 1], as in SpecGAN (Donahue, McAuley and Puckette 2019). The reference is the maximum of the data
        set, not of the clip, so that the loudness of a clip is preserved.
    range_db: dynamic range of the scale `db`: silence is this many dB below the maximum power.
    statistics: statistics of the training clips. None: computed from the data when training starts.
    """

    scale: Literal["power", "signed_power", "db"] = "db"
    range_db: float = 80.0
    statistics: Statistics | None = None

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"representation.scale={self.scale!r} is unknown: choose one of {', '.join(SCALES)}")
        if not 0 < self.range_db <= MAX_RANGE_DB:
            raise ValueError(f"representation.range_db={self.range_db} must be above 0 and at most {MAX_RANGE_DB:g}")

    def encode(self, mel_power: MelPower) -> Values:
        """Convert mel power, 0 or more, to values on the scale.

        Raises:
          ValueError: `statistics` is None.
        """
        relative = mel_power / self._known_statistics.peak_power
        if self.scale == "power":
            return relative
        if self.scale == "signed_power":
            return jnp.minimum(2.0 * relative - 1.0, 1.0)
        mean_db, width_db = self._bands(mel_power.ndim)
        level_db = 10.0 * jnp.log10(relative + self._floor)
        return jnp.clip((level_db - mean_db) / width_db, -1.0, 1.0)

    def decode(self, values: Values) -> MelPower:
        """Convert values on the scale to mel power. This is the inverse of `encode`, except for clipped values.

        Values are clipped to the range of the scale, so that the power is 0 or more and finite.

        Raises:
          ValueError: `statistics` is None.
        """
        peak_power = self._known_statistics.peak_power
        if self.scale == "power":
            return jnp.maximum(values, 0.0) * peak_power
        inside = jnp.clip(values, -1.0, 1.0)
        if self.scale == "signed_power":
            return (0.5 * inside + 0.5) * peak_power
        mean_db, width_db = self._bands(values.ndim)
        level_db = inside * width_db + mean_db
        return jnp.maximum(10.0 ** (0.1 * level_db) - self._floor, 0.0) * peak_power

    def to_wave(
        self,
        values: Values,
        settings: Inversion = Inversion(),
        *,
        length: int | None = None,
        report: Progress | None = None,
    ) -> Float[Array, "*batch samples"]:
        """Reconstruct waves from values on the scale. Their sample rate is `SAMPLE_RATE`.

        Args:
          values: values of shape (*batch, mels, frames).
          settings: method of the reconstruction, and its numbers of iterations.
          length: length of the waves in samples. None: 220,500 (10 s) for 431 frames, and otherwise the number of
            samples that the frames cover.
          report: called with the progress, see `specjax.signal.inversion.to_wave`.

        Raises:
          ValueError: `statistics` is None.
        """
        if length is None and values.shape[-1] == FRAMES:
            length = CLIP_SAMPLES
        return inversion.to_wave(Spectrogram(self.decode(values), PRESET), settings, length=length, report=report)

    def width_db(self) -> Float[np.ndarray, "mels 1"]:
        """Return the change of level in each band, in dB, that corresponds to a change of 1 on the scale `db`.

        Raises:
          ValueError: `statistics` is None.
        """
        return np.asarray(self._bands(2)[1])

    @property
    def _known_statistics(self) -> Statistics:
        if self.statistics is None:
            raise ValueError("representation.statistics is not set: measure it on the training clips")
        return self.statistics

    @property
    def _floor(self) -> float:
        """Power of the level `-range_db`, relative to the maximum power."""
        return 10.0 ** (-0.1 * self.range_db)

    def _bands(self, ndim: int) -> tuple[Array | np.ndarray, ...]:
        """Return the mean level of each band and its `width_db`, for arrays with `ndim` axes."""
        measured = self._known_statistics
        width_db = _CLIP * np.maximum(measured.deviation_db, _MIN_DEVIATION_DB)
        return tuple(along_axis(np.asarray(x, np.float32), ndim, -2) for x in (measured.mean_db, width_db))


def mel_power(wave: Float[Array, "*batch samples"]) -> MelPower:
    """Compute the mel power of waves at `SAMPLE_RATE`."""
    return mel_from_wave(wave, TRANSFORM, FILTERS)
