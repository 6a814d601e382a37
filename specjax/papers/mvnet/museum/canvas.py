"""Drawing of simple shapes with smooth edges, for the pictures of the museum.

A canvas has coordinates x (to the right) and y (downward), from -1 to 1. A mask has one value per pixel, from 0 to 1. A
shape is given by a signed distance to its edge, which is negative inside.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

SIZE = 128  # pixels of a side, twice that of the pictures
_PIXEL = 2 / SIZE

Mask = Float[Array, "height width"] | Float[np.ndarray, "height width"]
Canvas = Float[Array, "height width 3"]
Color = Any  # three numbers from 0 to 1, or an array of them
Number = Any  # a number or an array without axes

Y, X = (grid.astype(np.float32) for grid in np.mgrid[:SIZE, :SIZE] * _PIXEL - 1 + _PIXEL / 2)


def fill(distance: Mask) -> Mask:
    """Compute the mask of a shape; a pixel at its edge is covered by half."""
    return jnp.clip(0.5 - distance / _PIXEL, 0.0, 1.0)


def paint(canvas: Canvas, mask: Mask, color: Color | Canvas) -> Canvas:
    """Paint a color where a mask is 1, and mix it with what is below where the mask is between 0 and 1."""
    color = jnp.asarray(color, jnp.float32)
    return canvas + mask[..., None] * ((color if color.ndim == 3 else color[None, None]) - canvas)


def gradient(top: Color, bottom: Color, position: Mask) -> Canvas:
    """Mix two colors: that of the top where `position` is 0 or less, that of the bottom where it is 1 or more."""
    return paint(light(top, jnp.ones((SIZE, SIZE))), jnp.clip(position, 0.0, 1.0), bottom)


def light(color: Color, brightness: Mask) -> Canvas:
    """Multiply a color by a brightness that differs between pixels."""
    return jnp.asarray(color, jnp.float32)[None, None] * brightness[..., None]


def box(center_x: Number, center_y: Number, half_width: Number, half_height: Number) -> Mask:
    """Compute the distance to the edge of a rectangle, exact near its edges."""
    return jnp.maximum(jnp.abs(X - center_x) - half_width, jnp.abs(Y - center_y) - half_height)


def disc(center_x: Number, center_y: Number, radius: Number) -> Mask:
    """Compute the distance to the edge of a disc."""
    return jnp.hypot(X - center_x, Y - center_y) - radius


def ellipse(x: Mask, y: Mask, half_width: Number, half_height: Number) -> Mask:
    """Compute the approximate distance to the edge of an ellipse around the origin of the coordinates `x` and `y`."""
    return (jnp.hypot(x / half_width, y / half_height) - 1) * jnp.minimum(half_width, half_height)


def rotate(center_x: Number, center_y: Number, angle: Number) -> tuple[Mask, Mask]:
    """Return x and y of all pixels around a center, rotated by an angle in radians."""
    x, y = X - center_x, Y - center_y
    return jnp.cos(angle) * x + jnp.sin(angle) * y, jnp.cos(angle) * y - jnp.sin(angle) * x


def stripes(phase: Mask) -> Mask:
    """Compute smooth stripes, from -1 to 1: the sine of `phase`, given in turns."""
    return jnp.sin(2 * np.pi * phase)
