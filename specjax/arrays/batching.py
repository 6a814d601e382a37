"""Application of functions to batches: each device processes its own examples, in the way that suits the hardware."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import PartitionSpec as P


def map_devices(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function of batches so that each device applies it to its own shard of the leading axes.

    Without this, XLA would gather the whole batch on every device before a Fourier transform or a loop over the batch.
    The devices are those along the axis `data` of the current mesh (`jax.set_mesh`). The function is called unchanged
    if there is no such mesh, if the call is already inside a shard, or if the batch size is not a multiple of the
    number of devices.
    """

    def apply_sharded(*args: Any) -> Any:
        mesh = jax.sharding.get_abstract_mesh()
        devices = 1 if "data" in mesh.manual_axes else dict(mesh.shape).get("data", 1)
        if devices == 1 or any(x.shape[0] % devices for x in jax.tree.leaves(args)):
            return function(*args)
        return jax.shard_map(function, in_specs=P("data"), out_specs=P("data"), check_vma=False)(*args)

    return apply_sharded


def map_examples(function: Callable[..., Any], batch_size: int = 1) -> Callable[..., Any]:
    """Map a function of one example over a batch: `jax.vmap`, or on a CPU a loop over `batch_size` examples at a time.

    On a CPU a larger batch would not fit in the caches. Each device processes its own examples (see `map_devices`).
    """
    if jax.default_backend() == "cpu":
        vmap_size = batch_size if batch_size > 1 else None
        return map_devices(lambda *args: jax.lax.map(lambda example: function(*example), args, batch_size=vmap_size))
    return map_devices(jax.vmap(function))
