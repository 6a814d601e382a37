"""Label-preserving random augmentation of small images."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


def affine(
    image: Float[Array, "height width"],
    matrix: Float[Array, "2 2"],
    shift: Float[Array, "2"],
) -> Float[Array, "height width"]:
    """Apply an affine transform with bilinear interpolation; samples from outside the image are 0.

    Output pixel p is `image` at `matrix @ (p - center) + center + shift`, where p is (row, column).
    """
    height, width = image.shape
    center = jnp.array([(height - 1) / 2, (width - 1) / 2])
    grid = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")).astype(jnp.float32)
    source = jnp.tensordot(matrix, grid - center[:, None, None], axes=1) + (center + shift)[:, None, None]
    return jax.scipy.ndimage.map_coordinates(image, list(source), order=1, mode="constant")


def random_affine(
    key: Key[Array, ""],
    image: Float[Array, "height width"],
    *,
    max_shift: float = 2.0,
    max_degrees: float = 10.0,
    max_scale: float = 0.1,
    max_shear: float = 0.1,
) -> Float[Array, "height width"]:
    """Shift, rotate, scale and shear an image by random amounts.

    Every amount is uniform in [-bound, bound]. Rows and columns are shifted and scaled independently.

    Args:
      key: random key.
      image: image to transform.
      max_shift: bound of the shift, in pixels.
      max_degrees: bound of the rotation angle, in degrees.
      max_scale: bound of the relative change of scale; the scale factor is `1 +- max_scale`.
      max_shear: bound of the shear coefficient.
    """
    shift_key, angle_key, scale_key, shear_key = jax.random.split(key, 4)
    shift = jax.random.uniform(shift_key, (2,), minval=-max_shift, maxval=max_shift)
    angle = jnp.deg2rad(jax.random.uniform(angle_key, minval=-max_degrees, maxval=max_degrees))
    scale = 1.0 + jax.random.uniform(scale_key, (2,), minval=-max_scale, maxval=max_scale)
    shear = jax.random.uniform(shear_key, minval=-max_shear, maxval=max_shear)
    rotation = jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
    shear_matrix = jnp.array([[1.0, 0.0], [0.0, 1.0]]).at[1, 0].set(shear)
    return affine(image, rotation @ shear_matrix @ jnp.diag(scale), shift)
