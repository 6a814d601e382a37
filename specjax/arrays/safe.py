"""Functions that are finite everywhere, and whose derivatives are."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Square root of what is 0 or more; its derivative at 0 is 0."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def divide(x: Float[Array, "..."], y: Float[Array, "..."]) -> Float[Array, "..."]:
    """`x / y` for `y` of 0 or more; 0 where `y` is 0, and so are its derivatives."""
    positive = y > 0
    return jnp.where(positive, x / jnp.where(positive, y, 1.0), 0.0)
