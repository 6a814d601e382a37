"""Minimising against scipy and known minima; examples that know nothing of each other; progress; bad starts."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from specjax.optim.minimize import minimize

STARTS = np.array([[-1.2, 1.0, 0.5], [0.0, 0.0, 0.0]])


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_it_goes_where_scipy_goes():
    found = minimize(rosenbrock, jnp.asarray(STARTS, jnp.float32), steps=80)
    for start, best in zip(STARTS, found.best, strict=True):
        known = scipy.optimize.minimize(scipy.optimize.rosen, start, method="L-BFGS-B")
        np.testing.assert_allclose(best, known.x, atol=1e-2)
    assert np.all(found.value < 1e-4)
    assert found.history.shape == (80, 2)
    np.testing.assert_allclose(found.history[0], [scipy.optimize.rosen(start) for start in STARTS], rtol=1e-5)


def test_examples_know_nothing_of_each_other():
    both = minimize(rosenbrock, jnp.asarray(STARTS, jnp.float32), steps=10)
    for i, start in enumerate(STARTS):
        alone = minimize(rosenbrock, jnp.asarray(start[None], jnp.float32), steps=10)
        np.testing.assert_allclose(both.best[i], alone.best[0], atol=1e-6)


def test_a_tree_of_arrays_is_solved_towards_what_is_given():
    def loss(x, towards):
        return jnp.sum((x["a"] - towards["a"]) ** 2) + jnp.sum((x["b"] - towards["b"]) ** 2)

    towards = {"a": jnp.array([[3.0], [5.0]]), "b": jnp.full((2, 3), -1.0)}
    found = minimize(loss, {"a": jnp.ones((2, 1)), "b": jnp.ones((2, 3))}, towards)
    np.testing.assert_allclose(found.best["a"], towards["a"], atol=1e-3)
    np.testing.assert_allclose(found.best["b"], -1, atol=1e-3)


def test_the_best_is_kept_and_told():
    told = []
    found = minimize(
        rosenbrock, jnp.zeros((1, 4)), steps=25, chunk=10, report=lambda step, value: told.append((step, value))
    )
    assert [step for step, _ in told] == [10, 20, 25]
    assert [value for _, value in told] == sorted((value for _, value in told), reverse=True)
    assert told[-1][1] == found.value[0] == pytest.approx(float(rosenbrock(found.best[0])), rel=1e-5)


def test_what_is_returned_is_the_best_and_not_the_last():
    """Where gradients jump, a step may lead up again."""

    def farthest(x):
        return jnp.max(jnp.abs(x - jnp.arange(5.0)))

    starts = jnp.asarray(np.random.default_rng(0).standard_normal((16, 5)), jnp.float32)
    found = minimize(farthest, starts, steps=40)
    np.testing.assert_allclose([farthest(x) for x in found.best], found.value, rtol=1e-6)
    assert np.all(found.value <= found.history.min(axis=0))
    assert np.any(found.value < found.history[-1])


def test_equal_losses_are_compiled_once():
    traced = []

    @dataclass(frozen=True)
    class Distance:
        power: int

        def __call__(self, x, wanted):
            traced.append(self.power)
            return jnp.sum((x - wanted) ** self.power)

    def solved(power, towards):
        minimize(Distance(power), jnp.zeros((1, 2)), jnp.full((1, 2), towards), steps=2)
        return len(traced)

    assert solved(2, 1.0) == solved(2, 5.0) < solved(4, 1.0)


def test_what_cannot_be_minimised_is_refused():
    with pytest.raises(ValueError, match="the loss at the start is nan in example 1 of 2"):
        minimize(lambda x: jnp.sum(jnp.log(x)), jnp.array([[1.0, 2.0], [-1.0, -1.0]]))
    with pytest.raises(ValueError, match="steps=0"):
        minimize(rosenbrock, jnp.zeros((1, 2)), steps=0)


def test_work_is_shared_by_the_devices(mesh):
    spread = jax.device_put(jnp.zeros((4, 3)), jax.NamedSharding(mesh, jax.P("data")))
    assert minimize(rosenbrock, spread, steps=2).best.sharding.spec[0] == "data"
