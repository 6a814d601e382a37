"""Sobel's edge filter: slopes along rows and columns, borders reflected as in `scipy.ndimage.sobel`."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def sobel(image: Float[Array, "*batch height width"]) -> Float[Array, "*batch 2 height width"]:
    """Slopes of `image` along its rows axis, then along its columns axis (kernel [1 2 1]' [-1 0 1], not scaled)."""
    rows, columns = -2, -1
    return jnp.stack([_slope(_blur(image, columns), rows), _slope(_blur(image, rows), columns)], axis=-3)


def _neighbours(x: Array, axis: int) -> tuple[Array, Array]:
    n = x.shape[axis]
    pad = [(0, 0)] * x.ndim
    pad[axis] = (1, 1)
    padded = jnp.pad(x, pad, mode="symmetric")
    before = jax.lax.slice_in_dim(padded, 0, n, axis=axis)
    after = jax.lax.slice_in_dim(padded, 2, n + 2, axis=axis)
    return before, after


def _slope(x: Array, axis: int) -> Array:
    before, after = _neighbours(x, axis)
    return after - before


def _blur(x: Array, axis: int) -> Array:
    before, after = _neighbours(x, axis)
    return before + 2.0 * x + after
