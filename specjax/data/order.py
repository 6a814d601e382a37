"""Random order of the training examples, computed from (seed, step) without stored state.

The order of the n examples in an epoch is a pseudorandom permutation of 0 .. n-1. Its value at one position is computed
by a few integer operations, so any device, host or restarted run can compute the examples of any step. A Feistel
network permutes the integers below a power of two: the smallest that is at least n and at least 4. If the result is n
or above, the network is applied again until the result is below n (cycle walking, Black and Rogaway 2002).
"""

import zlib

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, Key, UInt32

ROUNDS = 6


def stream(seed: int, name: str) -> Key[Array, ""]:
    """Create a JAX random key from `seed` and `name`. Keys with different names give independent random numbers."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def batch_indices(
    key: Key[Array, ""], step: Int32[Array, ""], batch_size: int, examples: int
) -> Int32[Array, " batch"]:
    """Compute which training examples are in the batch of a training step.

    Every epoch visits each example once, in a new random order. Batches are taken from the sequence of all epochs, so a
    batch may contain the end of one epoch and the start of the next.

    Args:
      key: random key; the same key at all steps gives one consistent order.
      step: index of the training step, from 0. `(step + 1) * batch_size` must be at most 2^32.
      batch_size: number of examples per step.
      examples: number of examples in the data set.

    Returns:
      Indices of the examples, from 0 to `examples - 1`.
    """
    position = step.astype(jnp.uint32) * jnp.uint32(batch_size) + jnp.arange(batch_size, dtype=jnp.uint32)
    epoch, offset = position // jnp.uint32(examples), position % jnp.uint32(examples)
    return jax.vmap(lambda e, p: permute(jax.random.fold_in(key, e), p, examples))(epoch, offset)


def permute(key: Key[Array, ""], position: UInt32[Array, ""], n: int) -> Int32[Array, ""]:
    """Compute the value at `position` of a pseudorandom permutation of 0 .. n-1 that is selected by `key`."""
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
    """Hash a 32-bit integer with the finalizer of MurmurHash3: every input bit affects every output bit."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
