"""Pictures as values of the networks, in [-1, 1], as 8-bit pixels, and as collages."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from specjax.nn.residual import mean_pool
from specjax.plots import render

THUMBNAIL = 16  # height and width of the small copies that stand for pictures where there is no judge

Values = Float[Array, "batch size size 3"]  # of square pictures; those of the GAN have 64 x 64 pixels
Pixels = UInt8[np.ndarray, "batch size size 3"]


def to_values(pixels: UInt8[Array, "batch size size 3"]) -> Values:
    """Scale pixels from 0 to 255 to values from -1 to 1."""
    return pixels.astype(jnp.float32) / 127.5 - 1.0


def to_pixels(values: Values) -> Pixels:
    """Scale values from -1 to 1 to pixels from 0 to 255, rounded, on the host."""
    return np.round((np.clip(np.asarray(values), -1, 1) + 1) * 127.5).astype(np.uint8)


def thumbnails(values: Values) -> Float[Array, "batch values"]:
    """Shrink pictures to `THUMBNAIL` pixels, by averaging, and return all values of each."""
    factor = values.shape[1] // THUMBNAIL
    return mean_pool(values, (factor, factor)).reshape(len(values), -1)


def collage(pixels: UInt8[np.ndarray, "pictures 64 64 3"], columns: int = 6) -> render.Rgb:
    """Arrange pictures in a grid, row by row, as in figure 8 of the paper. The last row is filled up with white."""
    missing = -len(pixels) % columns
    pixels = np.concatenate([pixels, np.full((missing, *pixels.shape[1:]), 255, np.uint8)])
    rows = pixels.reshape(-1, columns, *pixels.shape[1:])
    return render.tile([list(row) for row in rows], margin=2)
