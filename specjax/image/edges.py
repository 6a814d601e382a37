"""Sobel edge filter; borders are reflected as in `scipy.ndimage.sobel`."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def sobel(image: Float[Array, "*batch height width"]) -> Float[Array, "*batch 2 height width"]:
    """Compute the Sobel derivatives along the row axis (index 0) and the column axis (index 1).

    The kernel is the outer product of [1 2 1] and [-1 0 1], not normalized: a ramp of slope 1 gives 8.
    """
    rows, columns = -2, -1
    return jnp.stack([_difference(_blur(image, columns), rows), _difference(_blur(image, rows), columns)], axis=-3)


def _neighbors(x: Array, axis: int) -> tuple[Array, Array]:
    n = x.shape[axis]
    pad = [(0, 0)] * x.ndim
    pad[axis] = (1, 1)
    padded = jnp.pad(x, pad, mode="symmetric")
    before = jax.lax.slice_in_dim(padded, 0, n, axis=axis)
    after = jax.lax.slice_in_dim(padded, 2, n + 2, axis=axis)
    return before, after


def _difference(x: Array, axis: int) -> Array:
    before, after = _neighbors(x, axis)
    return after - before


def _blur(x: Array, axis: int) -> Array:
    before, after = _neighbors(x, axis)
    return before + 2.0 * x + after
