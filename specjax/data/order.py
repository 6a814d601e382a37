"""Shuffled order of the training examples as a pure function of (seed, step).

The order of an epoch is a permutation of 0 .. n-1 that is evaluated point by point. A Feistel network permutes the
smallest power of two that is at least n (and at least 4). Points that land at n or above are permuted again until they
land below n (cycle walking, Black and Rogaway 2002). Any device, host or restarted run can therefore compute the
example of any step with a few integer operations and no stored state.
"""

import zlib

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, Key, UInt32

ROUNDS = 6


def stream(seed: int, name: str) -> Key[Array, ""]:
    """Create the root key of a named random stream."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def batch_indices(
    key: Key[Array, ""], step: Int32[Array, ""], batch_size: int, examples: int
) -> Int32[Array, " batch"]:
    """Compute the indices of the examples in the batch of a step.

    Epochs follow one another without a gap; a batch may span two epochs. Each epoch visits every example once. This
    holds as long as `(step + 1) * batch_size` is at most 2^32.

    Args:
      key: random key of the order.
      step: index of the step, from 0.
      batch_size: examples per step.
      examples: number of examples in the data set.
    """
    position = step.astype(jnp.uint32) * jnp.uint32(batch_size) + jnp.arange(batch_size, dtype=jnp.uint32)
    epoch, offset = position // jnp.uint32(examples), position % jnp.uint32(examples)
    return jax.vmap(lambda e, p: permute(jax.random.fold_in(key, e), p, examples))(epoch, offset)


def permute(key: Key[Array, ""], position: UInt32[Array, ""], n: int) -> Int32[Array, ""]:
    """Evaluate a keyed pseudorandom permutation of 0 .. n-1 at `position`."""
    bits = max((n - 1).bit_length(), 2)
    left_bits = bits // 2
    right_bits = bits - left_bits
    round_keys = jax.random.bits(key, (ROUNDS,), jnp.uint32)

    def shuffle(x: UInt32[Array, ""]) -> UInt32[Array, ""]:
        left, right = x >> right_bits, x & jnp.uint32(2**right_bits - 1)
        for i in range(0, ROUNDS, 2):
            left = left ^ (_hash(right ^ round_keys[i]) & jnp.uint32(2**left_bits - 1))
            right = right ^ (_hash(left ^ round_keys[i + 1]) & jnp.uint32(2**right_bits - 1))
        return (left << right_bits) | right

    result = jax.lax.while_loop(lambda x: x >= jnp.uint32(n), shuffle, shuffle(position))
    return result.astype(jnp.int32)


def _hash(x: UInt32[Array, ""]) -> UInt32[Array, ""]:
    """Apply the finalizer of MurmurHash3: every input bit affects every output bit."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
