"""Probability density of the next block: a mixture of normal distributions, after a linear prediction inside the block.

The coefficients of a block are predicted one after the other from the earlier ones, with the same weights everywhere
(`regression`). The residuals of the first coefficients have a mixture of diagonal normal distributions, as in GIVT
(Tschannen et al. 2023), because the continuation of music is multimodal: a drum is struck, or it is not. The residuals
of the other coefficients are normally distributed. The map from coefficients to residuals has Jacobian determinant 1,
so both have the same density.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

_LOG_ROOT_TAU = 0.5 * float(np.log(2 * np.pi))


class Density(NamedTuple):
    """Densities of blocks.

    Attributes:
      log_weights: logarithms of the weights of the components.
      means, deviations: means and standard deviations of the first coefficients in each component.
      rest_means, rest_deviations: those of the other coefficients.
      regression: weights of the earlier coefficients (columns) in the prediction of each coefficient (rows). Only those
        below the diagonal are used.
    """

    log_weights: Float[Array, "*batch components"]
    means: Float[Array, "*batch components first"]
    deviations: Float[Array, "*batch components first"]
    rest_means: Float[Array, "*batch rest"]
    rest_deviations: Float[Array, "*batch rest"]
    regression: Float[Array, "coefficients coefficients"]


def log_density(density: Density, block: Float[Array, "*batch coefficients"]) -> Float[Array, "*batch"]:
    """Compute the logarithm of the density at blocks, in nats."""
    residual = block - block @ jnp.tril(density.regression, -1).T
    first, rest = jnp.split(residual, [density.means.shape[-1]], axis=-1)
    components = jnp.sum(_log_normal(first[..., None, :], density.means, density.deviations), axis=-1)
    mixture = jax.nn.logsumexp(density.log_weights + components, axis=-1)
    return mixture + jnp.sum(_log_normal(rest, density.rest_means, density.rest_deviations), axis=-1)


def draw(keys: Key[Array, "*batch"], density: Density) -> Float[Array, "*batch coefficients"]:
    """Draw a block from each density, with a random key for each."""
    count = len(density.regression)

    def draw_noise(key: Key[Array, ""]) -> tuple[Float[Array, " components"], Float[Array, " coefficients"]]:
        component_key, normal_key = jax.random.split(key)
        components = density.log_weights.shape[-1]
        return jax.random.gumbel(component_key, (components,)), jax.random.normal(normal_key, (count,))

    gumbel, normal = (x.reshape(*keys.shape, -1) for x in jax.vmap(draw_noise)(keys.reshape(-1)))
    component = jnp.argmax(density.log_weights + gumbel, axis=-1)[..., None, None]
    means, deviations = (
        jnp.concatenate([jnp.take_along_axis(first, component, axis=-2)[..., 0, :], rest], axis=-1)
        for first, rest in ((density.means, density.rest_means), (density.deviations, density.rest_deviations))
    )
    residual = (means + deviations * normal).reshape(-1, count)
    # Solves block - prediction = residual.
    matrix = jnp.eye(count) - jnp.tril(density.regression, -1)
    block = jax.scipy.linalg.solve_triangular(matrix, residual.T, lower=True, unit_diagonal=True).T
    return block.reshape(*keys.shape, count)


def _log_normal(x: Array, mean: Array, deviation: Array) -> Array:
    return -0.5 * ((x - mean) / deviation) ** 2 - jnp.log(deviation) - _LOG_ROOT_TAU
