"""Width of the strokes of drawings with bright ink on black: single images in [0, 1], lengths in pixels."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from specjax.arrays.arguments import check_arguments
from specjax.image.linear import area_matrix, resample_matrix, separable

_CELLS = 4  # The edge of the ink is found on a grid with this many cells per pixel along each axis.
_HAIRLINE = 1.0  # half the width of the line that is left of a narrow stroke, in cells


@check_arguments
def change_stroke_width(
    image: Float[Array, "height width"], change: Float[Array, ""], *, max_change: float
) -> Float[Array, "height width"]:
    """Redraw an image with wider or narrower strokes, whose middle stays in place.

    Ink is what is brighter than 0.5. Its edge moves outward by half of `change`, or inward. A stroke that is too narrow
    for that does not vanish: a line about half a pixel wide is left along its middle.

    Args:
      image: image in [0, 1].
      change: change of the width in pixels, in [-max_change, max_change]; negative values make strokes narrower.
      max_change: bound of `change`.

    Returns:
      The new image, in [0, 1]. If `change` is 0, it differs from `image` in the gray levels of edges only.
    """
    enlarge = [resample_matrix(n, _CELLS * n, "bilinear") for n in image.shape]
    shrink = [area_matrix(_CELLS * n, n) for n in image.shape]
    reach = math.ceil(_CELLS * max_change / 2) + _CELLS
    ink = separable(enlarge[0], image, enlarge[1]) > 0.5
    depth = _distance(~ink, reach) - _distance(ink, reach)  # at least 1 in the ink, at most -1 outside
    depth = depth - 0.5 * jnp.sign(depth)  # from the centers of cells to the edge
    middle = depth - _slide(depth, np.zeros(2 * _CELLS + 1, np.float32), jnp.max) + _HAIRLINE
    moved = jnp.maximum(depth + _CELLS / 2 * change, jnp.minimum(depth, middle))
    return separable(shrink[0], jnp.clip(moved + 0.5, 0.0, 1.0), shrink[1])


@check_arguments
def random_stroke_width(
    key: Key[Array, ""], image: Float[Array, "height width"], *, max_change: float
) -> Float[Array, "height width"]:
    """Change the width of an image's strokes by a random number of pixels (see `change_stroke_width`).

    Args:
      key: random key.
      image: image in [0, 1].
      max_change: the change is uniform in [-max_change, max_change].
    """
    change = jax.random.uniform(key, minval=-max_change, maxval=max_change)
    return change_stroke_width(image, change, max_change=max_change)


def _distance(mask: Bool[Array, "height width"], reach: int) -> Float[Array, "height width"]:
    """Compute the distance of each point to the nearest point where `mask` holds, in points; at most `reach`."""
    squares = np.arange(-reach, reach + 1, dtype=np.float32) ** 2
    nearest = _slide(jnp.where(mask, 0.0, float(reach**2)), squares, jnp.min)
    return jnp.sqrt(jnp.minimum(nearest, reach**2))


def _slide(
    image: Float[Array, "height width"], offsets: Float[np.ndarray, " window"], reduce: Callable[..., Array]
) -> Float[Array, "height width"]:
    """Reduce a window that slides along one axis and then along the other, after adding offsets to its points.

    The border is continued.
    """
    reach = len(offsets) // 2
    for axis, count in enumerate(image.shape):
        padded = jnp.pad(image, [(reach, reach) if i == axis else (0, 0) for i in (0, 1)], mode="edge")
        windows = [jax.lax.slice_in_dim(padded, i, i + count, axis=axis) + x for i, x in enumerate(offsets)]
        image = reduce(jnp.stack(windows), axis=0)
    return image
