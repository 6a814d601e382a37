"""Digests (hashes) of the arrays of a tree, computed on the devices, and the paths by which leaves are identified."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt32

Tree = Any


# Parameters, optimizer moments and averages share their shapes, so a program per leaf compiles faster than one for all.
@jax.jit
def leaf_digest(x: Array) -> UInt32[Array, "2"]:
    """Compute a 64-bit digest of an array, as two 32-bit words.

    The digest depends on the bits of all elements and on their order. It does not depend on the sharding.
    """
    # Integer sums are exact, so they are the same for every sharding.
    bits = _to_uint32(x).reshape(-1)
    index = jnp.arange(bits.size, dtype=jnp.uint32)
    mixed = _mix_bits(bits ^ _mix_bits(index + jnp.uint32(0x9E3779B9)))
    return jnp.stack([jnp.sum(mixed, dtype=jnp.uint32), jnp.sum(_mix_bits(mixed ^ index), dtype=jnp.uint32)])


def digests(tree: Tree) -> dict[str, str]:
    """Compute the digest of every leaf of a tree of JAX arrays.

    Returns:
      Digests by leaf path, each as 16 hexadecimal digits.
    """
    pairs = jax.device_get(jax.tree.map(leaf_digest, leaves_by_path(tree)))
    return {path: f"{int(pair[0]):08x}{int(pair[1]):08x}" for path, pair in pairs.items()}


def leaves_by_path(tree: Tree) -> dict[str, Any]:
    """Flatten a tree to a dict of leaves by path, in the order of the leaves.

    Paths are formatted by `jax.tree_util.keystr`, as in `.params['dense']['kernel']`.
    """
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def leaf_shapes(tree: Tree) -> dict[str, str]:
    """Return the dtype and shape of every leaf of a tree, as text such as `float32[3, 4]` by leaf path."""
    return {path: f"{x.dtype}{list(x.shape)}" for path, x in leaves_by_path(tree).items()}


def _to_uint32(x: Array) -> UInt32[Array, "..."]:
    """Reinterpret the bits of each element as an unsigned integer, and widen it to 32 bits.

    Elements must have 8, 16 or 32 bits. Booleans give 0 and 1.
    """
    if x.dtype == jnp.bool_:
        return x.astype(jnp.uint32)
    unsigned = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}
    return jax.lax.bitcast_convert_type(x, unsigned[x.dtype.itemsize]).astype(jnp.uint32)


def _mix_bits(x: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    """Mix the bits of each element by the finalizer of MurmurHash3 (`fmix32`)."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
