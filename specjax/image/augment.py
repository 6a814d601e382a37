"""Random affine augmentation of small images, mild enough to keep their labels valid."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from specjax.arrays.arguments import check_arguments


@check_arguments
def affine(
    image: Float[Array, "height width"],
    matrix: Float[Array, "2 2"],
    shift: Float[Array, "2"],
) -> Float[Array, "height width"]:
    """Apply an affine transform with bilinear interpolation. Pixels outside the image count as 0.

    Args:
      image: image to transform.
      matrix: linear map from output coordinates to input coordinates, as in `scipy.ndimage.affine_transform`.
        Coordinates are (row, column), measured from the image center.
      shift: (row, column) offset in pixels that is added to the input coordinates.

    Returns:
      The image whose value at pixel p is `image` interpolated at `matrix @ (p - center) + center + shift`.
    """
    height, width = image.shape
    center = jnp.array([(height - 1) / 2, (width - 1) / 2])
    grid = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")).astype(jnp.float32)
    source = jnp.tensordot(matrix, grid - center[:, None, None], axes=1) + (center + shift)[:, None, None]
    return jax.scipy.ndimage.map_coordinates(image, list(source), order=1, mode="constant")


@check_arguments
def random_affine(
    key: Key[Array, ""],
    image: Float[Array, "height width"],
    *,
    max_shift: float = 2.0,
    max_degrees: float = 10.0,
    max_scale: float = 0.1,
    max_shear: float = 0.1,
) -> Float[Array, "height width"]:
    """Shift, rotate, scale and shear an image by random amounts, with bilinear interpolation and zeros outside.

    The vertical and the horizontal direction have independent shifts and independent scale factors.

    Args:
      key: random key.
      image: image to transform.
      max_shift: shifts are uniform in [-max_shift, max_shift] pixels.
      max_degrees: the rotation angle is uniform in [-max_degrees, max_degrees] degrees.
      max_scale: scale factors are uniform in [1 - max_scale, 1 + max_scale].
      max_shear: the shear coefficient is uniform in [-max_shear, max_shear].
    """
    shift_key, angle_key, scale_key, shear_key = jax.random.split(key, 4)
    shift = jax.random.uniform(shift_key, (2,), minval=-max_shift, maxval=max_shift)
    angle = jnp.deg2rad(jax.random.uniform(angle_key, minval=-max_degrees, maxval=max_degrees))
    scale = 1.0 + jax.random.uniform(scale_key, (2,), minval=-max_scale, maxval=max_scale)
    shear = jax.random.uniform(shear_key, minval=-max_shear, maxval=max_shear)
    rotation = jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
    shear_matrix = jnp.array([[1.0, 0.0], [0.0, 1.0]]).at[1, 0].set(shear)
    return affine(image, rotation @ shear_matrix @ jnp.diag(scale), shift)
