"""How much generated examples differ from each other: near 0 if a generator has collapsed to one example."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.arrays import safe


def relative_spread(fake: Float[Array, "batch ..."], real: Float[Array, "batch ..."]) -> Float[Array, ""]:
    """Compute how much generated examples differ from each other, relative to how much real ones do.

    The spread of a batch is the standard deviation of each value over the batch, averaged over the values.
    """

    def spread(values: Float[Array, "batch ..."]) -> Float[Array, ""]:
        return jnp.mean(jnp.std(values, axis=0))

    return safe.divide(spread(fake), spread(real))
