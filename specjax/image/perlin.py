"""Two-dimensional Perlin gradient noise (Perlin 1985, with the quintic fade of Perlin 2002) as matrix products.

The noise is a linear function of the gradients at the lattice points, whose components are the matrices `G_y` and
`G_x`. Each axis has two constant matrices with one row per pixel and one column per lattice line. `W` contains the fade
weights of the two lattice lines next to the pixel. `S` contains these weights times the signed distances from the lines
to the pixel. The noise is `sqrt(2) (S_y G_y W_x' + W_y G_x S_x')`, with values in [-1, 1].
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from specjax.arrays.arguments import check_arguments


def fade(t: np.ndarray) -> np.ndarray:
    """Evaluate Perlin's quintic fade function 6t^5 - 15t^4 + 10t^3 for `t` in [0, 1].

    The function rises from 0 to 1. Its first and second derivatives are 0 at both ends.
    """
    return t * t * t * (t * (t * 6.0 - 15.0) + 10.0)


def lattice_weights(n: int, cells: int) -> tuple[Float[np.ndarray, "n cells_1"], Float[np.ndarray, "n cells_1"]]:
    """Compute the interpolation weights of Perlin noise along one axis of an image.

    Lattice lines divide the axis into cells. A pixel is interpolated between the two lines that bound its cell. Let `t`
    be the position of the pixel in the cell, from 0 (first line) to 1 (second line).

    Args:
      n: number of pixels along the axis.
      cells: number of cells along the axis; there are `cells + 1` lattice lines.

    Returns:
      Two matrices of shape (n, cells + 1), with one row per pixel and one column per lattice line. All entries are 0
      except those of the two lines that bound the cell of the pixel. In the first matrix, these entries are the weights
      `1 - fade(t)` and `fade(t)`. In the second matrix, each weight is multiplied by the signed distance from the line
      to the pixel in cells: `(1 - fade(t)) * t` and `fade(t) * (t - 1)`.
    """
    position = np.arange(n) * cells / n
    line = np.floor(position).astype(int)
    t = position - line
    weights = np.zeros((n, cells + 1))
    weighted_distances = np.zeros((n, cells + 1))
    points = np.arange(n)
    for lattice_line, weight, distance in ((line, 1.0 - fade(t), t), (line + 1, fade(t), t - 1.0)):
        weights[points, lattice_line] = weight
        weighted_distances[points, lattice_line] = weight * distance
    return weights.astype(np.float32), weighted_distances.astype(np.float32)


def noise_from_gradients(
    gradients: Float[Array, "2 lines_y lines_x"], shape: tuple[int, int]
) -> Float[Array, "height width"]:
    """Compute Perlin noise from the gradients at the lattice points.

    Args:
      gradients: unit vectors; y components at index 0, x components at index 1.
      shape: (height, width) of the noise in pixels.

    Returns:
      The noise, with values in [-1, 1]. The factor sqrt(2) that Perlin noise needs for this range is included.
    """
    weights_y, weighted_distances_y = lattice_weights(shape[0], gradients.shape[1] - 1)
    weights_x, weighted_distances_x = lattice_weights(shape[1], gradients.shape[2] - 1)
    left = np.sqrt(2.0).astype(np.float32) * np.concatenate([weighted_distances_y, weights_y], axis=1)
    right = jnp.concatenate([gradients[0] @ weights_x.T, gradients[1] @ weighted_distances_x.T])
    return left @ right


@check_arguments
def perlin_noise(
    key: Key[Array, ""],
    shape: tuple[int, int],
    cells: tuple[int, int] = (24, 24),
    *,
    octaves: int = 1,
    persistence: float = 0.5,
) -> Float[Array, "height width"]:
    """Draw Perlin noise from random gradients: one noise field in [-1, 1], or a sum of several octaves.

    Args:
      key: random key.
      shape: (height, width) of the noise in pixels.
      cells: number of lattice cells of the first octave along (height, width).
      octaves: number of noise fields to add up. Each octave has twice as many cells per axis as the one before.
      persistence: amplitude of each octave relative to the one before; the first octave has amplitude 1.

    Raises:
      ValueError: a number of pixels, cells or octaves is below 1.
    """
    if min(*shape, *cells, octaves) < 1:
        raise ValueError(f"shape={shape}, cells={cells} and octaves={octaves} must be at least 1")
    field = jnp.zeros(shape)
    for octave in range(octaves):
        lines = (cells[0] * 2**octave + 1, cells[1] * 2**octave + 1)
        angle = jax.random.uniform(jax.random.fold_in(key, octave), lines, maxval=2 * np.pi)
        gradients = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        field = field + persistence**octave * noise_from_gradients(gradients, shape)
    return field
