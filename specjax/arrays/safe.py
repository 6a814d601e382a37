"""Functions whose values and derivatives are finite everywhere."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Compute the square root of `x`, which must not be negative. At 0 the derivative is 0 instead of infinite."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def divide(x: Float[Array, "..."], y: Float[Array, "..."]) -> Float[Array, "..."]:
    """Compute `x / y` for `y` of 0 or more. Where `y` is 0, the result and its derivatives are 0."""
    positive = y > 0
    return jnp.where(positive, x / jnp.where(positive, y, 1.0), 0.0)
