"""Drawing of simple shapes with smooth edges, for the pictures of the museum.

A canvas has coordinates x (to the right) and y (downward), from -1 to 1. A mask has one value per pixel, from 0 to 1. A
shape is given by a signed distance to its edge, which is negative inside.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Mask = Float[Array, "height width"] | Float[np.ndarray, "height width"]
Canvas = Float[Array, "height width 3"]
Color = Any  # three numbers from 0 to 1, or an array of them
Number = Any  # a number or an array without axes


@dataclass(frozen=True)
class Grid:
    """The pixels of a canvas, and shapes on it.

    size: height and width in pixels.
    """

    size: int

    @property
    def pixel(self) -> float:
        """Width of a pixel in canvas coordinates."""
        return 2 / self.size

    @cached_property
    def x(self) -> Float[np.ndarray, "height width"]:
        """Coordinate x of the center of each pixel."""
        return np.broadcast_to(self._centers, (self.size, self.size))

    @cached_property
    def y(self) -> Float[np.ndarray, "height width"]:
        """Coordinate y of the center of each pixel."""
        return np.broadcast_to(self._centers[:, None], (self.size, self.size))

    @property
    def _centers(self) -> Float[np.ndarray, " size"]:
        return (np.arange(self.size) * self.pixel - 1 + self.pixel / 2).astype(np.float32)

    def fill(self, distance: Mask) -> Mask:
        """Compute the mask of a shape; a pixel at its edge is covered by half."""
        return jnp.clip(0.5 - distance / self.pixel, 0.0, 1.0)

    def box(self, center_x: Number, center_y: Number, half_width: Number, half_height: Number) -> Mask:
        """Compute the distance to the edge of a rectangle, exact near its edges."""
        return jnp.maximum(jnp.abs(self.x - center_x) - half_width, jnp.abs(self.y - center_y) - half_height)

    def disc(self, center_x: Number, center_y: Number, radius: Number) -> Mask:
        """Compute the distance to the edge of a disc."""
        return jnp.hypot(self.x - center_x, self.y - center_y) - radius

    def rotate(self, center_x: Number, center_y: Number, angle: Number) -> tuple[Mask, Mask]:
        """Return x and y of all pixels around a center, rotated by an angle in radians."""
        x, y = self.x - center_x, self.y - center_y
        return jnp.cos(angle) * x + jnp.sin(angle) * y, jnp.cos(angle) * y - jnp.sin(angle) * x


def paint(canvas: Canvas, mask: Mask, color: Color | Canvas) -> Canvas:
    """Paint a color where a mask is 1, and mix it with what is below where the mask is between 0 and 1."""
    color = jnp.asarray(color, jnp.float32)
    return canvas + mask[..., None] * ((color if color.ndim == 3 else color[None, None]) - canvas)


def gradient(top: Color, bottom: Color, position: Mask) -> Canvas:
    """Mix two colors: that of the top where `position` is 0 or less, that of the bottom where it is 1 or more."""
    return paint(light(top, jnp.ones_like(position)), jnp.clip(position, 0.0, 1.0), bottom)


def light(color: Color, brightness: Mask) -> Canvas:
    """Multiply a color by a brightness that differs between pixels."""
    return jnp.asarray(color, jnp.float32)[None, None] * brightness[..., None]


def ellipse(x: Mask, y: Mask, half_width: Number, half_height: Number) -> Mask:
    """Compute the approximate distance to the edge of an ellipse around the origin of the coordinates `x` and `y`."""
    return (jnp.hypot(x / half_width, y / half_height) - 1) * jnp.minimum(half_width, half_height)


def stripes(phase: Mask) -> Mask:
    """Compute smooth stripes, from -1 to 1: the sine of `phase`, given in turns."""
    return jnp.sin(2 * np.pi * phase)
