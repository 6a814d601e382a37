"""One example at a time on a single CPU, otherwise all at once; the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax import batching


@pytest.mark.parametrize(("devices", "loops"), [(1, True), (4, False)])
def test_a_single_cpu_device_loops(devices, loops, monkeypatch):
    monkeypatch.setattr(batching.jax, "device_count", lambda: devices)
    x, y = jnp.arange(12.0).reshape(3, 2, 2), jnp.arange(3.0)
    function = batching.over_examples(lambda a, b: {"sum": a.sum() + b, "twice": 2.0 * a})
    found = jax.jit(function)(x, y)
    np.testing.assert_allclose(found["sum"], np.asarray(x).sum(axis=(1, 2)) + np.arange(3))
    np.testing.assert_allclose(found["twice"], 2 * np.asarray(x))
    assert ("scan" in str(jax.make_jaxpr(function)(x, y))) == loops


def test_on_an_accelerator_it_never_loops(monkeypatch):
    monkeypatch.setattr(batching.jax, "device_count", lambda: 1)
    monkeypatch.setattr(batching.jax, "default_backend", lambda: "gpu")
    assert "scan" not in str(jax.make_jaxpr(batching.over_examples(lambda a: a + 1.0))(jnp.zeros(3)))


@pytest.mark.parametrize("devices", [1, 4])
def test_gradients_are_the_same(devices, monkeypatch):
    monkeypatch.setattr(batching.jax, "device_count", lambda: devices)
    x = jnp.arange(8.0).reshape(2, 2, 2)
    slopes = jax.grad(lambda v: batching.over_examples(lambda a: jnp.sum(a**3))(v).sum())(x)
    np.testing.assert_allclose(slopes, 3 * np.asarray(x) ** 2)
