"""Max pooling whose gradient is a selection of inputs.

XLA's own gradient of pooling is a scatter, which is slow and takes much memory on a CPU. That of `jnp.max` compares the
inputs with the maximum: where XLA computes the inputs again with other rounding, none is equal, and it is NaN.
"""

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


def global_max_pool(x: Float[Array, "batch *positions channels"]) -> Float[Array, "batch channels"]:
    """Return the maximum of each channel over all positions. Its gradient goes to the first position that has it."""
    flat = x.reshape(len(x), -1, x.shape[-1])
    return jnp.take_along_axis(flat, jnp.argmax(flat, axis=1, keepdims=True), axis=1)[:, 0]
