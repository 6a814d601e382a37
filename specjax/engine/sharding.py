"""Devices as a mesh with a `data` axis for batches and an `ensemble` axis for vmapped models."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from specjax.cli.errors import UserError

Tree = Any


def make_mesh(ensemble: int = 1) -> Mesh:
    """Every device of every process: `ensemble` rows, the rest along `data`.

    Raises:
      UserError: the devices do not divide by `ensemble`.
    """
    count = jax.device_count()
    if count % ensemble:
        raise UserError(f"{count} devices do not divide into an ensemble axis of {ensemble}")
    return jax.make_mesh((ensemble, count // ensemble), ("ensemble", "data"), axis_types=(AxisType.Auto,) * 2)


def check_batch(mesh: Mesh, batch_size: int) -> None:
    """Refuse a batch that does not divide over the `data` axis."""
    if batch_size % mesh.shape["data"]:
        raise UserError(
            f"batch_size={batch_size} does not divide over {mesh.shape['data']} devices: choose a multiple of them"
        )


def replicated_sharding(mesh: Mesh) -> NamedSharding:
    """The same array on every device."""
    return NamedSharding(mesh, P())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The leading axis spread over `data`."""
    return NamedSharding(mesh, P("data"))


def replicate(tree: Tree, mesh: Mesh) -> Tree:
    """Host arrays, equal in every process, as arrays on every device."""
    sharding = replicated_sharding(mesh)

    def place(x: np.ndarray) -> Array:
        x = np.asarray(x)
        return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

    return jax.tree.map(place, tree)


def to_host(tree: Tree) -> Tree:
    """Whole arrays on this host; every process must call it."""

    def fetch(x: Array) -> np.ndarray:
        if x.is_fully_addressable or x.is_fully_replicated:
            return np.asarray(x)
        assert isinstance(x.sharding, NamedSharding)
        return np.asarray(jax.jit(lambda y: y, out_shardings=NamedSharding(x.sharding.mesh, P()))(x))

    return jax.tree.map(fetch, tree)
