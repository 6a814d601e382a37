"""Random augmentation of pictures, real and generated alike, before the discriminator sees them (DiffAugment).

Source: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training". The augmentation is
differentiable, so gradients reach the generator. Pictures are arrays of shape (height, width, 3) in [-1, 1]. Pixels
outside a shifted picture and in a cutout are 0.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

Picture = Float[Array, "height width 3"]


@dataclass(frozen=True)
class AugmentConfig:
    """Strengths of the augmentation; 0 disables a transformation. DiffAugment uses 0.5, 0.125 and 0.5.

    color: largest change of the brightness. Contrast is multiplied by a factor in [1 - color, 1 + color], saturation by
      one in [1 - 2 color, 1 + 2 color].
    translation: largest shift along each axis, as a fraction of the height and of the width.
    cutout: height and width of the cutout, as fractions of those of the picture.
    """

    color: float = 0.0
    translation: float = 0.0
    cutout: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.color <= 0.5 and 0 <= self.translation <= 1 and 0 <= self.cutout <= 1):
            raise ValueError(
                f"augment.color={self.color} must lie in [0, 0.5], translation={self.translation} and "
                f"cutout={self.cutout} in [0, 1]"
            )


def augment_pictures(
    key: Key[Array, ""], pictures: Float[Array, "batch height width 3"], config: AugmentConfig
) -> Float[Array, "batch height width 3"]:
    """Augment each picture of a batch at random."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(pictures)))
    return jax.vmap(lambda key, picture: augment_picture(key, picture, config))(keys, pictures)


def augment_picture(key: Key[Array, ""], picture: Picture, config: AugmentConfig) -> Picture:
    """Change the color of a picture, shift it, and cut out a square, by random amounts."""
    color_key, shift_key, cutout_key = jax.random.split(key, 3)
    if config.color:
        picture = change_color(color_key, picture, config.color)
    if config.translation:
        picture = shift(shift_key, picture, config.translation)
    if config.cutout:
        picture = cut_out(cutout_key, picture, config.cutout)
    return picture


def change_color(key: Key[Array, ""], picture: Picture, strength: float) -> Picture:
    """Change brightness, saturation and contrast at random (see `AugmentConfig.color`)."""
    import dm_pix as pix

    brightness_key, saturation_key, contrast_key = jax.random.split(key, 3)
    picture = pix.random_brightness(brightness_key, picture, strength)
    gray = jnp.mean(picture, axis=-1, keepdims=True)
    saturation = jax.random.uniform(saturation_key, (), minval=1 - 2 * strength, maxval=1 + 2 * strength)
    picture = gray + saturation * (picture - gray)
    return pix.random_contrast(contrast_key, picture, 1 - strength, 1 + strength)


def shift(key: Key[Array, ""], picture: Picture, share: float) -> Picture:
    """Shift a picture at random along both axes, by at most a fraction `share` of its height and width."""
    import dm_pix as pix

    height, width, channels = picture.shape
    rows, columns = round(share * height), round(share * width)
    padded = pix.pad_to_size(picture, height + 2 * rows, width + 2 * columns)
    return pix.random_crop(key, padded, (height, width, channels))


def cut_out(key: Key[Array, ""], picture: Picture, share: float) -> Picture:
    """Set a rectangle with a fraction `share` of the height and width to 0. Its center is at a random pixel."""

    def draw_interval(key: Key[Array, ""], length: int) -> Bool[Array, " length"]:
        distance = jnp.arange(length) - jax.random.randint(key, (), 0, length)
        return 2 * jnp.abs(distance) < round(share * length)

    rows, columns = (draw_interval(*args) for args in zip(jax.random.split(key), picture.shape[:2], strict=True))
    return jnp.where((rows[:, None] & columns[None])[..., None], 0.0, picture)
