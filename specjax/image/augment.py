"""Random changes of small pictures that keep what they show."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


def affine(
    image: Float[Array, "height width"],
    matrix: Float[Array, "2 2"],
    shift: Float[Array, "2"],
) -> Float[Array, "height width"]:
    """Picture whose point p shows `image` at `matrix @ (p - centre) + centre + shift`, bilinear, 0 outside."""
    height, width = image.shape
    centre = jnp.array([(height - 1) / 2, (width - 1) / 2])
    grid = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")).astype(jnp.float32)
    source = jnp.tensordot(matrix, grid - centre[:, None, None], axes=1) + (centre + shift)[:, None, None]
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
    """Picture shifted (pixels), turned (degrees), scaled and sheared by amounts uniform within the given bounds."""
    shift_key, angle_key, scale_key, shear_key = jax.random.split(key, 4)
    shift = jax.random.uniform(shift_key, (2,), minval=-max_shift, maxval=max_shift)
    angle = jnp.deg2rad(jax.random.uniform(angle_key, minval=-max_degrees, maxval=max_degrees))
    scale = 1.0 + jax.random.uniform(scale_key, (2,), minval=-max_scale, maxval=max_scale)
    shear = jax.random.uniform(shear_key, minval=-max_shear, maxval=max_shear)
    rotation = jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
    shearing = jnp.array([[1.0, 0.0], [0.0, 1.0]]).at[1, 0].set(shear)
    return affine(image, rotation @ shearing @ jnp.diag(scale), shift)
