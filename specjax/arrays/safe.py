"""Functions whose values and derivatives are finite everywhere."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Square root for `x` of 0 or more; the derivative at 0 is 0."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def divide(x: Float[Array, "..."], y: Float[Array, "..."]) -> Float[Array, "..."]:
    """Quotient `x / y` for `y` of 0 or more; where `y` is 0, the value and its derivatives are 0."""
    positive = y > 0
    return jnp.where(positive, x / jnp.where(positive, y, 1.0), 0.0)
