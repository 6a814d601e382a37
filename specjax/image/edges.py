"""Sobel edge filter. Borders are reflected, as by default in `scipy.ndimage.sobel`."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.arrays.arguments import check_arguments


@check_arguments
def sobel(image: Float[Array, "*batch height width"]) -> Float[Array, "*batch 2 height width"]:
    """Compute the vertical and horizontal Sobel derivatives of images. Borders are reflected.

    The kernel is the outer product of [-1 0 1] along the derivative and [1 2 1] across it. It is not normalized: an
    image that rises by 1 per pixel has the derivative 8.

    Returns:
      Derivatives stacked on the third axis from the end: index 0 is the vertical derivative (from row to row), index 1
      the horizontal one (from column to column).
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
