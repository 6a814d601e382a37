"""Max pooling whose gradient is a selection; XLA's own is a scatter, which is slow and takes much memory on a CPU."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def max_pool(x: Float[Array, "..."], axes: Sequence[int]) -> Float[Array, "..."]:
    """Reduce every two neighbors along each of `axes` to their maximum. An odd entry at the end of an axis is dropped.

    Two equal neighbors share the gradient equally.
    """
    for axis in axes:
        pairs = x.shape[axis] // 2
        even, odd = (jax.lax.slice_in_dim(x, start, 2 * pairs, 2, axis) for start in (0, 1))
        x = jnp.maximum(even, odd)
    return x
