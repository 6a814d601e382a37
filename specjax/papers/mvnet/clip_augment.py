"""Random augmentation of training clips of music that preserves their era."""

import math
from dataclasses import astuple, dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from specjax.papers.mvnet.representation import FRAMES, MELS, THIRDS
from specjax.signal import augment

_MASK_FRAMES = 64  # 0.74 s
_MASK_BANDS = 16

Clip = Float[Array, "128 256 3"]


@dataclass(frozen=True)
class ClipAugmentConfig:
    """Random augmentation of clips on the scale `log`. By default, there is none.

    time_shift: whether to shift each clip cyclically along time.
    max_band_shift: largest shift along frequency, in mel bands.
    max_gain_db: largest change of the level, in dB.
    max_tilt_db: largest spectral tilt: the highest band changes by up to this many dB, and the lowest band by the
      opposite amount.
    time_masks, band_masks: number of masked intervals of at most 64 frames (0.74 s), and of at most 16 mel bands.
    """

    time_shift: bool = False
    max_band_shift: int = 0
    max_gain_db: float = 0.0
    max_tilt_db: float = 0.0
    time_masks: int = 0
    band_masks: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.max_band_shift < MELS and min(self.time_masks, self.band_masks) >= 0):
            raise ValueError(
                f"augment.max_band_shift={self.max_band_shift} must lie in [0, {MELS}), and "
                f"time_masks={self.time_masks} and band_masks={self.band_masks} must not be negative"
            )
        if not (0 <= self.max_gain_db < math.inf and 0 <= self.max_tilt_db < math.inf):
            raise ValueError(
                f"augment.max_gain_db={self.max_gain_db} and max_tilt_db={self.max_tilt_db} must be finite and not be "
                "negative"
            )

    @property
    def changes_clips(self) -> bool:
        """Whether any augmentation is enabled."""
        return any(astuple(self))


def augment_clip(
    key: Key[Array, ""], values: Clip, config: ClipAugmentConfig, deviation_db: Float[Array, "128 1 1"]
) -> Clip:
    """Shift a clip along time and frequency, change its level and its tilt, and mask parts of it, by random amounts.

    Args:
      key: random key.
      values: levels of the thirds of a clip, standardized in each band.
      config: strengths of the augmentation.
      deviation_db: standard deviation by which the levels of each band were divided.
    """
    time_key, band_key, gain_key, tilt_key, frames_key, bands_key = jax.random.split(key, 6)
    if config.max_gain_db or config.max_tilt_db:
        gain_db = jax.random.uniform(gain_key, (), minval=-config.max_gain_db, maxval=config.max_gain_db)
        tilt_db = jax.random.uniform(tilt_key, (), minval=-config.max_tilt_db, maxval=config.max_tilt_db)
        change_db = gain_db + tilt_db * jnp.linspace(-1.0, 1.0, MELS)
        values = values + change_db[:, None, None] / deviation_db
    whole = jnp.moveaxis(values, 2, 1).reshape(MELS, THIRDS * FRAMES)  # concatenates the thirds
    if config.time_shift:
        whole = augment.random_time_shift(time_key, whole)
    if config.max_band_shift:
        whole = augment.random_row_shift(band_key, whole, max_rows=config.max_band_shift)
    if config.time_masks:
        whole = augment.random_masks(frames_key, whole, count=config.time_masks, max_width=_MASK_FRAMES, axis=1)
    if config.band_masks:
        whole = augment.random_masks(bands_key, whole, count=config.band_masks, max_width=_MASK_BANDS, axis=0)
    return jnp.moveaxis(whole.reshape(MELS, THIRDS, FRAMES), 1, 2)
