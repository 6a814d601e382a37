"""Random augmentation of spectrograms: cyclic shifts, gain, masks (SpecAugment) and mixup.

A spectrogram has the shape (rows, frames). Its values are levels in [0, 1], linear in dB, where 0 is silence. Each
function takes one spectrogram, except for `mixup`; apply it to a batch with `jax.vmap`, with one key per example.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from specjax.arrays.arguments import check_arguments

Levels = Float[Array, "rows frames"]


@check_arguments
def random_time_shift(key: Key[Array, ""], levels: Levels) -> Levels:
    """Shift a spectrogram along time by a random number of frames; frames that leave at one end enter at the other."""
    return jnp.roll(levels, jax.random.randint(key, (), 0, levels.shape[1]), axis=1)


@check_arguments
def random_row_shift(key: Key[Array, ""], levels: Levels, *, max_rows: int) -> Levels:
    """Shift a spectrogram along frequency by a random number of rows; rows that become free repeat the outermost one.

    On an axis that is logarithmic in frequency, this changes the pitch.

    Args:
      key: random key.
      levels: spectrogram.
      max_rows: the shift is uniform among the integers from `-max_rows` to `max_rows`.
    """
    shift = jax.random.randint(key, (), -max_rows, max_rows + 1)
    padded = jnp.pad(levels, ((max_rows, max_rows), (0, 0)), mode="edge")
    return jax.lax.dynamic_slice_in_dim(padded, max_rows + shift, levels.shape[0], axis=0)


@check_arguments
def random_gain(key: Key[Array, ""], levels: Levels, *, max_change: float, max_tilt: float = 0.0) -> Levels:
    """Change the level of a sound by a random amount, optionally with a tilt of its spectrum; silence stays silence.

    Args:
      key: random key.
      levels: spectrogram.
      max_change: the change is uniform in [-max_change, max_change], as a fraction of the dynamic range. Results are
        clipped to [0, 1].
      max_tilt: the first row is raised and the last row lowered by an amount that is uniform in [-max_tilt, max_tilt];
        between them, the amount is linear in the row.
    """
    gain_key, tilt_key = jax.random.split(key)
    tilt = jax.random.uniform(tilt_key, (), minval=-max_tilt, maxval=max_tilt)
    slope = jnp.linspace(1.0, -1.0, levels.shape[0])[:, None]
    change = jax.random.uniform(gain_key, (), minval=-max_change, maxval=max_change) + tilt * slope
    return jnp.where(levels > 0, jnp.clip(levels + change, 0.0, 1.0), 0.0)


@check_arguments
def random_masks(key: Key[Array, ""], levels: Levels, *, count: int, max_width: int, axis: int) -> Levels:
    """Set random bands of rows or of frames to the mean of the spectrogram (SpecAugment, Park et al. 2019).

    Args:
      key: random key.
      levels: spectrogram.
      count: number of bands; they may overlap.
      max_width: largest width of a band; widths are uniform among the integers from 0 to `max_width`, which must be at
        most the length of the axis.
      axis: axis along which the bands are placed: 0 masks rows, 1 masks frames.
    """
    length = levels.shape[axis]
    width_key, start_key = jax.random.split(key)
    width = jax.random.randint(width_key, (count, 1), 0, max_width + 1)
    free = (length - width + 1).astype(jnp.float32)
    start = jnp.floor(jax.random.uniform(start_key, (count, 1)) * free).astype(jnp.int32)
    position = jnp.arange(length)[None]
    masked = jnp.any((position >= start) & (position < start + width), axis=0)
    return jnp.where(jnp.expand_dims(masked, 1 - axis), jnp.mean(levels), levels)


@check_arguments
def mixup(
    share: Float[Array, " batch"], partner: Int[Array, " batch"], x: Float[Array, "batch ..."]
) -> Float[Array, "batch ..."]:
    """Mix each example of a batch with a partner (Zhang et al. 2018): `share * x + (1 - share) * x[partner]`.

    Call it with the same shares and partners for the inputs and for the targets, such as one-hot labels.

    Args:
      share: weight of each example, 0 to 1.
      partner: index of the partner of each example in the batch.
      x: arrays to mix.
    """
    weight = share.reshape(-1, *[1] * (x.ndim - 1))
    return weight * x + (1.0 - weight) * x[partner]
