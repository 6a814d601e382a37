"""How much generated examples differ from each other: near 0 if a generator has collapsed to one example."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.arrays import safe


def relative_spread(
    fake: Float[Array, "batch ..."], real: Float[Array, "batch ..."], groups: Float[Array, "batch groups"] | None = None
) -> Float[Array, ""]:
    """Compute how much generated examples differ from each other, relative to how much real ones do.

    The spread of a batch is the standard deviation of each value over the batch, averaged over the values.

    Args:
      fake: generated examples.
      real: real examples.
      groups: one-hot labels of both. Deviations are then those from the mean of the group, so that a generator that
        knows one example of each group has no spread.
    """

    def spread(values: Float[Array, "batch ..."]) -> Float[Array, ""]:
        return jnp.mean(jnp.std(values if groups is None else _subtract_means(values, groups), axis=0))

    return safe.divide(spread(fake), spread(real))


def _subtract_means(values: Float[Array, "batch ..."], groups: Float[Array, "batch groups"]) -> Float[Array, "..."]:
    """Subtract from each value the mean of its group."""
    share = groups @ (groups / jnp.maximum(jnp.sum(groups, axis=0, keepdims=True), 1.0)).T
    return values - jnp.tensordot(share, values, axes=1)
