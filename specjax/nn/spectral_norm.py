"""Spectral normalization of kernels (Miyato et al. 2018), as a pure function of the parameters.

Its authors keep a vector per kernel, and improve it by one step of the power method per update. Here, the largest
singular value is computed anew from the kernel, so that there is no state to train, to save, or to be out of date. The
matrix that is multiplied, of (outputs, outputs), is small, and its powers are computed by squaring: six products have
the effect of 64 steps.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Tree = Any

_SQUARINGS = 6


def spectral_normalize(params: Tree, floor: float = 1e-6) -> Tree:
    """Divide each kernel of a network by its largest singular value.

    A kernel is an array of two or more axes, which is taken as a matrix of (inputs, outputs): the last axis is that of
    the outputs. Other parameters, such as biases, are returned unchanged.

    Args:
      params: parameters of the network.
      floor: smallest divisor. 1 reduces the singular values above 1 only; kernels that start at zero need this.
    """

    def normalize(leaf: Array) -> Array:
        if leaf.ndim < 2:
            return leaf
        return leaf / jnp.maximum(largest_singular_value(leaf.reshape(-1, leaf.shape[-1])), floor)

    return jax.tree.map(normalize, params)


def largest_singular_value(matrix: Float[Array, "rows columns"]) -> Float[Array, ""]:
    """Compute the largest singular value of a matrix by the power method.

    The result is a lower bound. It is exact to rounding, unless the second largest singular value is within a few
    percent of the largest, and then it is low by less than about 1%. Its gradient is that of the exact value. A matrix
    of zeros has the value and the gradient 0.
    """
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    fixed = _divide_by_norm(jax.lax.stop_gradient(matrix))
    power = _divide_by_norm(fixed.T @ fixed)
    for _ in range(_SQUARINGS):
        power = _divide_by_norm(power @ power)
    # All columns of a high power are multiples of the first right singular vector. The largest is the most accurate.
    right = _divide_by_norm(power[:, jnp.argmax(jnp.diagonal(power))])
    left = _divide_by_norm(fixed @ right)
    return left @ matrix @ right


def _divide_by_norm(x: Array) -> Array:
    # Division by the largest value first keeps the squares within the range of numbers.
    largest = jnp.max(jnp.abs(x))
    x = x / jnp.where(largest > 0, largest, 1.0)
    return x / jnp.sqrt(jnp.maximum(jnp.sum(x**2), 1.0))
