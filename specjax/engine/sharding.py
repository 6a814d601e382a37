"""Sharding over a device mesh with a `data` axis for batches and an `ensemble` axis for independent models."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from specjax.cli.errors import UserError

Tree = Any
_REPLICATED = P()


def make_mesh(ensemble: int = 1) -> Mesh:
    """Make a mesh of all devices of all processes, with axes `ensemble` and `data`.

    Args:
      ensemble: size of the `ensemble` axis; the remaining factor of the device count lies along `data`.

    Raises:
      UserError: the number of devices is not a multiple of `ensemble`.
    """
    count = jax.device_count()
    if count % ensemble:
        raise UserError(f"{count} devices do not divide into an ensemble axis of {ensemble}: use a multiple of it")
    return jax.make_mesh((ensemble, count // ensemble), ("ensemble", "data"), axis_types=(AxisType.Auto,) * 2)


def check_batch(mesh: Mesh, batch_size: int) -> None:
    """Check that a batch divides evenly over the `data` axis.

    Raises:
      UserError: it does not.
    """
    if batch_size % mesh.shape["data"]:
        raise UserError(
            f"batch_size={batch_size} does not divide over {mesh.shape['data']} devices: choose a multiple of them"
        )


def replicated_sharding(mesh: Mesh) -> NamedSharding:
    """Sharding that puts the whole array on every device."""
    return NamedSharding(mesh, P())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Sharding that splits the leading axis over `data`."""
    return NamedSharding(mesh, P("data"))


def to_named_shardings(mesh: Mesh, prefix: Tree) -> Tree:
    """Convert a tree of PartitionSpecs to a tree of NamedShardings on `mesh`."""
    return jax.tree.map(lambda spec: NamedSharding(mesh, spec), prefix, is_leaf=_is_spec)


def broadcast_prefix(prefix: Tree, tree: Tree) -> Tree:
    """Expand `prefix`, whose leaves stand for whole subtrees of `tree`, to one leaf for each leaf of `tree`."""
    return jax.tree.map(lambda leaf, subtree: jax.tree.map(lambda _: leaf, subtree), prefix, tree)


def place(tree: Tree, mesh: Mesh, prefix: Tree = _REPLICATED) -> Tree:
    """Put host arrays on the devices, sharded by the PartitionSpecs in `prefix`.

    The arrays must be equal in every process.
    """

    def place_leaf(x: np.ndarray, sharding: NamedSharding) -> Array:
        x = np.asarray(x)
        return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

    return jax.tree.map(place_leaf, tree, broadcast_prefix(to_named_shardings(mesh, prefix), tree))


def constrain(tree: Tree, mesh: Mesh, prefix: Tree) -> Tree:
    """Constrain arrays inside `jit` to the PartitionSpecs in `prefix`."""
    return jax.lax.with_sharding_constraint(tree, broadcast_prefix(to_named_shardings(mesh, prefix), tree))


def to_host(tree: Tree) -> Tree:
    """Copy whole arrays to this host. Every process must call this function."""

    def fetch(x: Array) -> np.ndarray:
        if x.is_fully_addressable or x.is_fully_replicated:
            return np.asarray(x)
        assert isinstance(x.sharding, NamedSharding)
        return np.asarray(jax.jit(lambda y: y, out_shardings=NamedSharding(x.sharding.mesh, P()))(x))

    return jax.tree.map(fetch, tree)


def _is_spec(x: Any) -> bool:
    return isinstance(x, P)
