"""Perlin's gradient noise (SIGGRAPH 1985, quintic fade of 2002) as two small matrix products.

On a fixed lattice the noise is bilinear in the lattice's gradients: with `W` the fade weights of a point's
two neighbouring lattice lines and `S` the same weights times the signed distances to them,
`noise = S_y G_y W_x' + W_y G_x S_x'`. Values lie within [-1, 1].
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key


def fade(t: np.ndarray) -> np.ndarray:
    """Perlin's quintic 6t^5 - 15t^4 + 10t^3: 0 to 1 on [0, 1], flat to second order at both ends."""
    return t * t * t * (t * (t * 6.0 - 15.0) + 10.0)


def lattice_weights(n: int, cells: int) -> tuple[Float[np.ndarray, "n cells_1"], Float[np.ndarray, "n cells_1"]]:
    """Fade weights and weighted distances of `n` points to the `cells + 1` lattice lines of one axis."""
    position = np.arange(n) * cells / n
    line = np.floor(position).astype(int)
    t = position - line
    weights = np.zeros((n, cells + 1))
    slopes = np.zeros((n, cells + 1))
    points = np.arange(n)
    for neighbour, weight, distance in ((line, 1.0 - fade(t), t), (line + 1, fade(t), t - 1.0)):
        weights[points, neighbour] = weight
        slopes[points, neighbour] = weight * distance
    return weights.astype(np.float32), slopes.astype(np.float32)


def noise_from_gradients(
    gradients: Float[Array, "2 lines_y lines_x"], shape: tuple[int, int]
) -> Float[Array, "height width"]:
    """Noise field of `shape` from the lattice's unit gradients, y components first; times sqrt(2) as is usual."""
    weights_y, slopes_y = lattice_weights(shape[0], gradients.shape[1] - 1)
    weights_x, slopes_x = lattice_weights(shape[1], gradients.shape[2] - 1)
    left = np.sqrt(2.0).astype(np.float32) * np.concatenate([slopes_y, weights_y], axis=1)
    right = jnp.concatenate([gradients[0] @ weights_x.T, gradients[1] @ slopes_x.T])
    return left @ right


def random_noise(
    key: Key[Array, ""],
    shape: tuple[int, int],
    cells: tuple[int, int] = (24, 24),
    *,
    octaves: int = 1,
    persistence: float = 0.5,
) -> Float[Array, "height width"]:
    """Perlin noise of `shape` on a lattice of `cells` (rows, columns).

    Each further octave doubles the cells and multiplies the amplitude by `persistence`.
    """
    field = jnp.zeros(shape)
    for octave in range(octaves):
        lines = (cells[0] * 2**octave + 1, cells[1] * 2**octave + 1)
        angle = jax.random.uniform(jax.random.fold_in(key, octave), lines, maxval=2 * np.pi)
        gradients = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        field = field + persistence**octave * noise_from_gradients(gradients, shape)
    return field
