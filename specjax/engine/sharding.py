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
      ensemble: size of the `ensemble` axis. The size of the `data` axis is the number of devices divided by `ensemble`.

    Raises:
      UserError: the number of devices is not a multiple of `ensemble`.
    """
    count = jax.device_count()
    if count % ensemble:
        raise UserError(f"{count} devices do not divide into an ensemble axis of {ensemble}: use a multiple of it")
    return jax.make_mesh((ensemble, count // ensemble), ("ensemble", "data"), axis_types=(AxisType.Auto,) * 2)


def check_batch(mesh: Mesh, batch_size: int) -> None:
    """Check that a batch divides evenly over the `data` axis of the mesh.

    Raises:
      UserError: `batch_size` is not a multiple of the size of the axis.
    """
    if batch_size % mesh.shape["data"]:
        raise UserError(
            f"batch_size={batch_size} does not divide over {mesh.shape['data']} devices: choose a multiple of them"
        )


def replicated_sharding(mesh: Mesh) -> NamedSharding:
    """Return the sharding that puts the whole array on every device."""
    return NamedSharding(mesh, P())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Return the sharding that splits the leading axis of an array over the mesh axis `data`."""
    return NamedSharding(mesh, P("data"))


def to_named_shardings(mesh: Mesh, prefix: Tree) -> Tree:
    """Convert each PartitionSpec in the tree `prefix` to a NamedSharding on `mesh`."""
    return jax.tree.map(lambda spec: NamedSharding(mesh, spec), prefix, is_leaf=_is_spec)


def broadcast_prefix(prefix: Tree, tree: Tree) -> Tree:
    """Repeat each leaf of the tree prefix `prefix` for all leaves of the corresponding subtree of `tree`."""
    return jax.tree.map(lambda leaf, subtree: jax.tree.map(lambda _: leaf, subtree), prefix, tree)


def place(tree: Tree, mesh: Mesh, prefix: Tree = _REPLICATED) -> Tree:
    """Copy host arrays to the devices, with the given shardings.

    Args:
      tree: tree of arrays, equal in every process.
      mesh: mesh of the devices.
      prefix: tree prefix of PartitionSpecs for `tree`; by default, arrays are replicated on every device.
    """

    def place_leaf(x: np.ndarray, sharding: NamedSharding) -> Array:
        x = np.asarray(x)
        return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

    return jax.tree.map(place_leaf, tree, broadcast_prefix(to_named_shardings(mesh, prefix), tree))


def constrain(tree: Tree, mesh: Mesh, prefix: Tree) -> Tree:
    """Constrain the shardings of arrays inside `jit`.

    Args:
      tree: tree of arrays.
      mesh: mesh of the devices.
      prefix: tree prefix of PartitionSpecs for `tree`.
    """
    return jax.lax.with_sharding_constraint(tree, broadcast_prefix(to_named_shardings(mesh, prefix), tree))


def to_host(tree: Tree) -> Tree:
    """Copy arrays to this host as whole NumPy arrays, even if they are sharded over several processes.

    Every process must call this function.
    """

    def fetch(x: Array) -> np.ndarray:
        if x.is_fully_addressable or x.is_fully_replicated:
            return np.asarray(x)
        assert isinstance(x.sharding, NamedSharding)
        return np.asarray(jax.jit(lambda y: y, out_shardings=NamedSharding(x.sharding.mesh, P()))(x))

    return jax.tree.map(fetch, tree)


def _is_spec(x: Any) -> bool:
    return isinstance(x, P)
