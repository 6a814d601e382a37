"""Perlin gradient noise (SIGGRAPH 1985, with the quintic fade of 2002) as two small matrix products.

On a fixed lattice the noise is linear in the lattice gradients `G_y` and `G_x`. Let `W` hold the fade weights of each
point with respect to its two adjacent lattice lines, and `S` the same weights times the signed distances to them. Then
`noise = S_y G_y W_x' + W_y G_x S_x'`. Values lie in [-1, 1].
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key


def fade(t: np.ndarray) -> np.ndarray:
    """Evaluate Perlin's quintic 6t^5 - 15t^4 + 10t^3.

    It rises from 0 to 1 on [0, 1]; its first and second derivatives vanish at both ends.
    """
    return t * t * t * (t * (t * 6.0 - 15.0) + 10.0)


def lattice_weights(n: int, cells: int) -> tuple[Float[np.ndarray, "n cells_1"], Float[np.ndarray, "n cells_1"]]:
    """Compute the matrices `W` and `S` of one axis, for `n` points and `cells + 1` lattice lines.

    Returns:
      The fade weights, and the same weights times the signed distances to the lattice lines (in cells).
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
    """Compute the noise field from unit gradients at the lattice points.

    Args:
      gradients: y components (index 0) and x components (index 1).
      shape: (height, width) of the field.

    Returns:
      The noise, scaled by the usual factor sqrt(2) so that it spans [-1, 1].
    """
    weights_y, weighted_distances_y = lattice_weights(shape[0], gradients.shape[1] - 1)
    weights_x, weighted_distances_x = lattice_weights(shape[1], gradients.shape[2] - 1)
    left = np.sqrt(2.0).astype(np.float32) * np.concatenate([weighted_distances_y, weights_y], axis=1)
    right = jnp.concatenate([gradients[0] @ weights_x.T, gradients[1] @ weighted_distances_x.T])
    return left @ right


def random_noise(
    key: Key[Array, ""],
    shape: tuple[int, int],
    cells: tuple[int, int] = (24, 24),
    *,
    octaves: int = 1,
    persistence: float = 0.5,
) -> Float[Array, "height width"]:
    """Draw Perlin noise.

    Args:
      key: random key.
      shape: (height, width) of the field.
      cells: number of lattice cells along (height, width).
      octaves: number of noise fields to add up. Each octave has twice as many cells per axis as the one before.
      persistence: ratio of the amplitudes of successive octaves.
    """
    field = jnp.zeros(shape)
    for octave in range(octaves):
        lines = (cells[0] * 2**octave + 1, cells[1] * 2**octave + 1)
        angle = jax.random.uniform(jax.random.fold_in(key, octave), lines, maxval=2 * np.pi)
        gradients = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        field = field + persistence**octave * noise_from_gradients(gradients, shape)
    return field
