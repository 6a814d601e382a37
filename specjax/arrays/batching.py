"""How a function is applied to a batch: every device does its own share of the examples, in the form that suits it."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import PartitionSpec as P


def map_devices(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of batches, of whose leading axes every device does the part that lies on it.

    Before a Fourier transform, or a loop along the batch, XLA would gather the whole of it on every device. The devices
    are those along `data` in the mesh in force (`jax.set_mesh`). Without such a mesh, within a share already, or where
    the batch does not divide, it is `function` itself.
    """

    def shared(*args: Any) -> Any:
        mesh = jax.sharding.get_abstract_mesh()
        devices = 1 if "data" in mesh.manual_axes else dict(mesh.shape).get("data", 1)
        if devices == 1 or any(x.shape[0] % devices for x in jax.tree.leaves(args)):
            return function(*args)
        return jax.shard_map(function, in_specs=P("data"), out_specs=P("data"), check_vma=False)(*args)

    return shared


def map_examples(function: Callable[..., Any], together: int = 1) -> Callable[..., Any]:
    """`jax.vmap`, or on a CPU so many examples at a time: more of them would fall out of its caches.

    Every device does its own examples (see `map_devices`).
    """
    if jax.default_backend() == "cpu":
        size = together if together > 1 else None
        return map_devices(lambda *args: jax.lax.map(lambda one: function(*one), args, batch_size=size))
    return map_devices(jax.vmap(function))
