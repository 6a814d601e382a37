"""Spread of generated examples: near 0 if a generator has collapsed to a single output."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.arrays import safe


def relative_spread(
    fake: Float[Array, "batch ..."], real: Float[Array, "batch ..."], groups: Float[Array, "batch groups"] | None = None
) -> Float[Array, ""]:
    """Compute the spread of generated examples relative to that of real ones.

    The spread of a batch is the standard deviation of each value over the batch, averaged over the values.

    Args:
      fake: generated examples.
      real: real examples.
      groups: one-hot labels of both. The mean of its group is then subtracted from each example, so that a generator
        that produces only one example of each group has no spread.
    """

    def spread(values: Float[Array, "batch ..."]) -> Float[Array, ""]:
        return jnp.mean(jnp.std(values if groups is None else _subtract_means(values, groups), axis=0))

    return safe.divide(spread(fake), spread(real))


def _subtract_means(values: Float[Array, "batch ..."], groups: Float[Array, "batch groups"]) -> Float[Array, "..."]:
    """Subtract from each value the mean of its group."""
    share = groups @ (groups / jnp.maximum(jnp.sum(groups, axis=0, keepdims=True), 1.0)).T
    return values - jnp.tensordot(share, values, axes=1)
