"""Mapping over examples and devices: loop on a CPU, vmap elsewhere, one shard per device, same results everywhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from conftest import find_collectives
from specjax.arrays import batching


def sum_and_double(a, b):
    return {"sum": a.sum() + b, "double": 2.0 * a}


@pytest.mark.parametrize(("backend", "loops"), [("cpu", True), ("gpu", False)])
def test_map_examples_loops_only_on_cpu(backend, loops, monkeypatch):
    monkeypatch.setattr(batching.jax, "default_backend", lambda: backend)
    x, y = jnp.arange(12.0).reshape(3, 2, 2), jnp.arange(3.0)
    function = batching.map_examples(sum_and_double)
    result = jax.jit(function)(x, y)
    np.testing.assert_allclose(result["sum"], np.asarray(x).sum(axis=(1, 2)) + np.arange(3))
    np.testing.assert_allclose(result["double"], 2 * np.asarray(x))
    assert ("scan" in str(jax.make_jaxpr(function)(x, y))) == loops


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_map_examples_stays_sharded_without_transfers(backend, mesh, monkeypatch):
    """Gradients are right, stay on the devices of their examples, and need no transfers.

    A batch size that is not a multiple of the number of devices works too.
    """
    monkeypatch.setattr(batching.jax, "default_backend", lambda: backend)

    def gradients(x, y):
        return jax.grad(lambda a: batching.map_examples(lambda p, q: jnp.sum(p**3) * q)(a, y).sum())(x)

    for count in (8, 6):
        x, y = jnp.arange(4.0 * count).reshape(count, 2, 2), jnp.arange(1.0 * count)
        expected = 3 * np.asarray(x) ** 2 * np.asarray(y)[:, None, None]
        if count % mesh.size == 0:
            x, y = (jax.device_put(a, jax.NamedSharding(mesh, P("data"))) for a in (x, y))
            compiled = jax.jit(gradients).lower(x, y).compile()
            assert not find_collectives(compiled)
            assert compiled(x, y).sharding.spec == P("data")
        np.testing.assert_allclose(jax.jit(gradients)(x, y), expected)


def test_nested_map_devices_does_not_shard_again(mesh):
    inner = batching.map_devices(lambda x: x - x.mean())
    outer = batching.map_devices(lambda x: inner(x))
    x = jnp.arange(16.0)
    expected = np.arange(16.0).reshape(mesh.size, -1) - np.arange(16.0).reshape(mesh.size, -1).mean(1, keepdims=True)
    np.testing.assert_allclose(jax.jit(outer)(x), expected.ravel())


def test_map_devices_without_data_axis_calls_function_unchanged():
    x, function = jnp.arange(8.0), batching.map_devices(lambda x: x - x.mean())
    np.testing.assert_allclose(function(x), np.arange(8.0) - 3.5)
    with jax.set_mesh(jax.make_mesh((4,), ("model",), axis_types=(jax.sharding.AxisType.Auto,))):
        np.testing.assert_allclose(jax.jit(function)(x), np.arange(8.0) - 3.5)


def test_gradients_of_map_examples_are_exact():
    x = jnp.arange(8.0).reshape(2, 2, 2)
    gradients = jax.grad(lambda v: batching.map_examples(lambda a: jnp.sum(a**3))(v).sum())(x)
    np.testing.assert_allclose(gradients, 3 * np.asarray(x) ** 2)
