"""Application of functions to batches, with the batch split over devices."""

import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P


def map_devices(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function of batches so that each device applies it to its own part of the batch.

    The batch is the first axis of every argument and result. It is split over the axis `data` of the current mesh
    (`jax.set_mesh`). Without this wrapper, XLA would copy the whole batch to every device before a Fourier transform or
    a loop over the batch.

    The function is called directly, without splitting the batch, in these cases:

    - The mesh has no axis `data`, or this axis has size 1.
    - The call is already inside a `jax.shard_map` over `data`.
    - The batch size is not a multiple of the size of `data`.
    """

    def apply_sharded(*args: Any) -> Any:
        mesh = jax.sharding.get_abstract_mesh()
        devices = 1 if "data" in mesh.manual_axes else dict(mesh.shape).get("data", 1)
        if devices == 1 or any(x.shape[0] % devices for x in jax.tree.leaves(args)):
            return function(*args)
        return jax.shard_map(function, in_specs=P("data"), out_specs=P("data"), check_vma=False)(*args)

    return apply_sharded


def map_examples(function: Callable[..., Any], batch_size: int = 1) -> Callable[..., Any]:
    """Turn a function of one example into a function of a batch, whose examples lie along the first axis.

    On a GPU or TPU this is `jax.vmap`. On a CPU it is a loop that processes `batch_size` examples at a time, because a
    larger batch would not fit in the caches. With several devices, each one processes its own part of the batch (see
    `map_devices`).

    Args:
      function: takes one or more arrays or pytrees, all without a batch axis.
      batch_size: number of examples per iteration of the loop on a CPU. It has no effect on other devices.
    """
    if jax.default_backend() == "cpu":

        def map_in_blocks(*args: Any) -> Any:
            # No block may have one example alone: with an axis of size 1, XLA fails on some Fourier transforms.
            count = len(jax.tree.leaves(args)[0])
            size = next((size for size in range(batch_size, 1, -1) if count % size != 1), None)
            return jax.lax.map(lambda example: function(*example), args, batch_size=size)

        return map_devices(map_in_blocks)
    return map_devices(jax.vmap(function))


def map_batch(function: Callable[..., Any], batch: tuple[int, ...], batch_size: int = 1) -> Callable[..., Any]:
    """Turn a function of one example into a function of examples along any number of leading axes.

    Args:
      function: takes one or more arrays or pytrees, all without batch axes.
      batch: sizes of the leading axes, which all arrays share.
      batch_size: as for `map_examples`.
    """

    def apply(*args: Any) -> Any:
        flat = jax.tree.map(lambda x: x.reshape(int(np.prod(batch)), *x.shape[len(batch) :]), args)
        result = map_examples(function, batch_size)(*flat)
        return jax.tree.map(lambda x: x.reshape(*batch, *x.shape[1:]), result)

    return apply


def map_models(function: Callable[..., Any], *args: Any) -> Any:
    """Apply a function to each of several models, which lie along the first axis of every argument and result.

    On a GPU or TPU this is `jax.vmap`. On a CPU the calls stand one after the other in the program, because XLA turns
    the convolutions of stacked models into grouped ones, which are slow there. If the current mesh has an axis
    `ensemble`, each device applies the function to its own models: XLA would divide grouped convolutions wrongly.
    """

    def apply(*args: Any) -> Any:
        if jax.default_backend() != "cpu":
            return jax.vmap(function)(*args)
        count = len(jax.tree.leaves(args)[0])
        results = [function(*jax.tree.map(operator.itemgetter(i), args)) for i in range(count)]
        return jax.tree.map(lambda *arrays: jnp.stack(arrays), *results)

    mesh = jax.sharding.get_abstract_mesh()
    if dict(mesh.shape).get("ensemble", 1) == 1 or "ensemble" in mesh.manual_axes:
        return apply(*args)
    spec = P("ensemble")
    return jax.shard_map(apply, in_specs=spec, out_specs=spec, axis_names={"ensemble"}, check_vma=False)(*args)
