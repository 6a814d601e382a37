"""Minimising against scipy and known minima; starts that cannot be used; progress."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from specjax.solve import minimise


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_it_goes_where_scipy_goes():
    start = np.array([-1.2, 1.0, 0.5])
    known = scipy.optimize.minimize(scipy.optimize.rosen, start, method="L-BFGS-B")
    found = minimise(rosenbrock, jnp.asarray(start, jnp.float32), steps=80)
    np.testing.assert_allclose(found.best, known.x, atol=1e-2)
    assert found.value < 1e-4
    assert len(found.history) == 80
    assert found.history[0] == pytest.approx(float(rosenbrock(jnp.asarray(start, jnp.float32))))


def test_a_tree_of_arrays_is_solved():
    found = minimise(
        lambda t: jnp.sum((t["a"] - 3) ** 2) + jnp.sum((t["b"] + 1) ** 2), {"a": jnp.ones(2), "b": jnp.ones(3)}
    )
    np.testing.assert_allclose(found.best["a"], 3, atol=1e-3)
    np.testing.assert_allclose(found.best["b"], -1, atol=1e-3)


def test_the_best_is_kept_and_told():
    told = []
    found = minimise(
        rosenbrock, jnp.zeros(4), steps=25, chunk=10, report=lambda step, value: told.append((step, value))
    )
    assert [step for step, _ in told] == [10, 20, 25]
    assert [value for _, value in told] == sorted((value for _, value in told), reverse=True)
    assert told[-1][1] == found.value == pytest.approx(float(rosenbrock(found.best)), rel=1e-5)


def test_what_cannot_be_minimised_is_refused():
    with pytest.raises(ValueError, match="the loss at the start is nan"):
        minimise(lambda x: jnp.sum(jnp.log(x)), -jnp.ones(2))
    with pytest.raises(ValueError, match="steps=0"):
        minimise(rosenbrock, jnp.zeros(2), steps=0)
