"""Attention of every position to all others, in memory that grows with their number and not with its square.

The matrix of weights, of (queries, keys), is never held whole. It is computed for a block of queries at a time, and
again, from the logarithms of the sums of its rows, when the gradient needs it (as in FlashAttention, Dao et al. 2022).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.arrays.batching import map_examples

BLOCK = 512  # queries whose weights are in memory at the same time, for each example

Maps = Float[Array, "batch height width channels"]
Queries = Float[Array, "queries size"]
Keys = Float[Array, "keys size"]
Values = Float[Array, "keys width"]
Outputs = Float[Array, "queries width"]


class SelfAttention(nn.Module):
    """Self-attention of the pixels of a map, times a learned factor that starts at 0, plus the map (SAGAN).

    Source: Zhang et al. 2019, "Self-Attention Generative Adversarial Networks". The products of queries and keys are
    not scaled. Queries and keys have an eighth of the channels.

    Attributes:
      kernel_init: initializer of the three projections, matrices of (channels, features).
    """

    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Maps) -> Maps:
        batch, height, width, channels = x.shape
        pixels = x.reshape(batch, height * width, channels)

        queries, keys, values = (
            nn.Dense(features, kernel_init=self.kernel_init, name=name)(pixels)
            for name, features in (("queries", channels // 8), ("keys", channels // 8), ("values", channels))
        )
        gamma = self.param("gamma", nn.initializers.zeros, (), jnp.float32)
        return x + gamma * attend(queries, keys, values).reshape(x.shape)


def attend(
    queries: Float[Array, "batch queries size"],
    keys: Float[Array, "batch keys size"],
    values: Float[Array, "batch keys width"],
    block: int = BLOCK,
) -> Float[Array, "batch queries width"]:
    """Compute `softmax(queries @ keys.T) @ values` for each example.

    Args:
      queries, keys, values: vectors at each position.
      block: largest number of queries whose weights are in memory at the same time.
    """
    count = queries.shape[1]
    size = next(size for size in range(min(block, count), 0, -1) if count % size == 0)
    return map_examples(lambda q, k, v: _attend(q, k, v, size))(queries, keys, values)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _attend(queries: Queries, keys: Keys, values: Values, block: int) -> Outputs:
    return _forward(queries, keys, values, block)[0]


def _forward(queries: Queries, keys: Keys, values: Values, block: int) -> tuple[Outputs, Any]:
    def attend_block(chunk: Float[Array, "block size"]) -> tuple[Array, Array]:
        scores = chunk @ keys.T
        largest = jnp.max(scores, axis=1, keepdims=True)
        weights = jnp.exp(scores - largest)
        total = jnp.sum(weights, axis=1, keepdims=True)
        return (weights @ values) / total, (largest + jnp.log(total))[:, 0]

    outputs, log_totals = jax.lax.map(attend_block, queries.reshape(-1, block, queries.shape[1]))
    outputs, log_totals = outputs.reshape(len(queries), -1), log_totals.reshape(-1)
    return outputs, (queries, keys, values, outputs, log_totals)


def _backward(block: int, saved: Any, gradient: Outputs) -> tuple[Queries, Keys, Values]:
    queries, keys, values, outputs, log_totals = saved
    # The gradient of a row of scores is weights * (gradient @ values.T - its mean under the weights).
    means = jnp.sum(gradient * outputs, axis=1)

    def add_block(carry: tuple[Keys, Values], chunk: tuple[Array, ...]) -> tuple[tuple[Keys, Values], Array]:
        q, log_total, g, mean = chunk
        weights = jnp.exp(q @ keys.T - log_total[:, None])
        scores = weights * (g @ values.T - mean[:, None])
        return (carry[0] + scores.T @ q, carry[1] + weights.T @ g), scores @ keys

    chunks = tuple(x.reshape(-1, block, *x.shape[1:]) for x in (queries, log_totals, gradient, means))
    zeros = jnp.zeros_like(keys), jnp.zeros_like(values)
    (keys_gradient, values_gradient), queries_gradient = jax.lax.scan(add_block, zeros, chunks)
    return queries_gradient.reshape(queries.shape), keys_gradient, values_gradient


_attend.defvjp(_forward, _backward)
