"""Random augmentation of clips of music that preserves their genre."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from specjax.papers.melody.representation import Representation
from specjax.signal import augment

_TIME_MASK_FRAMES = 64
_MEL_MASK_BANDS = 16


def augment_clip(
    key: Key[Array, ""],
    values: Float[Array, "mels frames"],
    representation: Representation,
    max_gain_db: float = 0.0,
    time_masks: int = 0,
    mel_masks: int = 0,
) -> Float[Array, "mels frames"]:
    """Shift a clip cyclically along time, change its level, and mask bands of frames and of mel bands.

    The augmentation is differentiable, so gradients reach a generator.

    Args:
      key: random key.
      values: values on the scale `db` of the representation.
      representation: scale of the values.
      max_gain_db: the change of level is uniform in [-max_gain_db, max_gain_db].
      time_masks: number of masked bands of at most 64 frames (1.5 s).
      mel_masks: number of masked bands of at most 16 mel bands.
    """
    time_key, gain_key, frames_key, mels_key = jax.random.split(key, 4)
    values = augment.random_time_shift(time_key, values)
    if max_gain_db:
        gain_db = jax.random.uniform(gain_key, (), minval=-max_gain_db, maxval=max_gain_db)
        values = jnp.clip(values + gain_db / representation.width_db(), -1.0, 1.0)
    if time_masks:
        values = augment.random_masks(frames_key, values, count=time_masks, max_width=_TIME_MASK_FRAMES, axis=1)
    if mel_masks:
        values = augment.random_masks(mels_key, values, count=mel_masks, max_width=_MEL_MASK_BANDS, axis=0)
    return values
