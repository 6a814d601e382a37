"""One example at a time on a CPU, otherwise all at once; every device its own share; the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from conftest import exchanged
from specjax.arrays import batching


def sums(a, b):
    return {"sum": a.sum() + b, "twice": 2.0 * a}


@pytest.mark.parametrize(("backend", "loops"), [("cpu", True), ("gpu", False)])
def test_only_a_cpu_loops(backend, loops, monkeypatch):
    monkeypatch.setattr(batching.jax, "default_backend", lambda: backend)
    x, y = jnp.arange(12.0).reshape(3, 2, 2), jnp.arange(3.0)
    function = batching.map_examples(sums)
    found = jax.jit(function)(x, y)
    np.testing.assert_allclose(found["sum"], np.asarray(x).sum(axis=(1, 2)) + np.arange(3))
    np.testing.assert_allclose(found["twice"], 2 * np.asarray(x))
    assert ("scan" in str(jax.make_jaxpr(function)(x, y))) == loops


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_every_device_does_its_share(backend, mesh, monkeypatch):
    """The same numbers and slopes, where the examples lie, and nothing moves; a batch that does not divide is done."""
    monkeypatch.setattr(batching.jax, "default_backend", lambda: backend)

    def slopes(x, y):
        return jax.grad(lambda a: batching.map_examples(lambda p, q: jnp.sum(p**3) * q)(a, y).sum())(x)

    for count in (8, 6):
        x, y = jnp.arange(4.0 * count).reshape(count, 2, 2), jnp.arange(1.0 * count)
        expected = 3 * np.asarray(x) ** 2 * np.asarray(y)[:, None, None]
        if count % mesh.size == 0:
            x, y = (jax.device_put(a, jax.NamedSharding(mesh, P("data"))) for a in (x, y))
            compiled = jax.jit(slopes).lower(x, y).compile()
            assert not exchanged(compiled)
            assert compiled(x, y).sharding.spec == P("data")
        np.testing.assert_allclose(jax.jit(slopes)(x, y), expected)


def test_a_share_is_not_shared_out_again(mesh):
    inner = batching.map_devices(lambda x: x - x.mean())
    outer = batching.map_devices(lambda x: inner(x))
    x = jnp.arange(16.0)
    expected = np.arange(16.0).reshape(mesh.size, -1) - np.arange(16.0).reshape(mesh.size, -1).mean(1, keepdims=True)
    np.testing.assert_allclose(jax.jit(outer)(x), expected.ravel())


def test_without_a_mesh_or_with_another_it_is_the_function_itself():
    x, function = jnp.arange(8.0), batching.map_devices(lambda x: x - x.mean())
    np.testing.assert_allclose(function(x), np.arange(8.0) - 3.5)
    with jax.set_mesh(jax.make_mesh((4,), ("model",), axis_types=(jax.sharding.AxisType.Auto,))):
        np.testing.assert_allclose(jax.jit(function)(x), np.arange(8.0) - 3.5)


def test_gradients_are_the_same():
    x = jnp.arange(8.0).reshape(2, 2, 2)
    slopes = jax.grad(lambda v: batching.map_examples(lambda a: jnp.sum(a**3))(v).sum())(x)
    np.testing.assert_allclose(slopes, 3 * np.asarray(x) ** 2)
