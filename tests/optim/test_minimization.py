"""Minimization compared with scipy and known minima: independent examples, progress reports, invalid starts."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

from specjax.optim.minimization import improve, minimize, minimize_until_interrupted

STARTS = np.array([[-1.2, 1.0, 0.5], [0.0, 0.0, 0.0]])


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_minima_agree_with_scipy():
    result = minimize(rosenbrock, jnp.asarray(STARTS, jnp.float32), steps=80)
    for start, best in zip(STARTS, result.best, strict=True):
        known = scipy.optimize.minimize(scipy.optimize.rosen, start, method="L-BFGS-B")
        np.testing.assert_allclose(best, known.x, atol=1e-2)
    assert np.all(result.value < 1e-4)
    assert result.history.shape == (80, 2)
    np.testing.assert_allclose(result.history[0], [scipy.optimize.rosen(start) for start in STARTS], rtol=1e-5)


def test_examples_are_independent():
    both = minimize(rosenbrock, jnp.asarray(STARTS, jnp.float32), steps=10)
    for i, start in enumerate(STARTS):
        alone = minimize(rosenbrock, jnp.asarray(start[None], jnp.float32), steps=10)
        np.testing.assert_allclose(both.best[i], alone.best[0], rtol=2e-4)


def test_pytrees_and_extra_arguments_are_supported():
    def loss(x, target):
        return jnp.sum((x["a"] - target["a"]) ** 2) + jnp.sum((x["b"] - target["b"]) ** 2)

    target = {"a": jnp.array([[3.0], [5.0]]), "b": jnp.full((2, 3), -1.0)}
    result = minimize(loss, {"a": jnp.ones((2, 1)), "b": jnp.ones((2, 3))}, target)
    np.testing.assert_allclose(result.best["a"], target["a"], atol=1e-3)
    np.testing.assert_allclose(result.best["b"], -1, atol=1e-3)


def test_best_value_is_reported_after_every_chunk():
    reports = []
    result = minimize(
        rosenbrock, jnp.zeros((1, 4)), steps=25, chunk=10, report=lambda step, value: reports.append((step, value))
    )
    assert [step for step, _ in reports] == [10, 20, 25]
    assert [value for _, value in reports] == sorted((value for _, value in reports), reverse=True)
    assert reports[-1][1] == result.value[0] == pytest.approx(float(rosenbrock(result.best[0])), rel=1e-5)


def test_result_is_the_best_point_and_not_the_last():
    """A step may increase the loss where gradients are discontinuous."""

    def max_distance(x):
        return jnp.max(jnp.abs(x - jnp.arange(5.0)))

    starts = jnp.asarray(np.random.default_rng(0).standard_normal((16, 5)), jnp.float32)
    result = minimize(max_distance, starts, steps=40)
    np.testing.assert_allclose([max_distance(x) for x in result.best], result.value, rtol=1e-6)
    assert np.all(result.value <= result.history.min(axis=0))
    assert np.any(result.value < result.history[-1])


def test_equal_losses_are_compiled_once():
    traces = []

    @dataclass(frozen=True)
    class Distance:
        power: int

        def __call__(self, x, target):
            traces.append(self.power)
            return jnp.sum((x - target) ** self.power)

    def count_traces(power, target):
        minimize(Distance(power), jnp.zeros((1, 2)), jnp.full((1, 2), target), steps=2)
        return len(traces)

    assert count_traces(2, 1.0) == count_traces(2, 5.0) < count_traces(4, 1.0)


def test_non_finite_start_and_zero_steps_raise_errors():
    with pytest.raises(ValueError, match="the loss at the start is nan in example 1 of 2"):
        minimize(lambda x: jnp.sum(jnp.log(x)), jnp.array([[1.0, 2.0], [-1.0, -1.0]]))
    with pytest.raises(ValueError, match="steps=0"):
        minimize(rosenbrock, jnp.zeros((1, 2)), steps=0)


def test_examples_stay_sharded_over_devices(mesh):
    start = jax.device_put(jnp.zeros((4, 3)), jax.NamedSharding(mesh, jax.P("data")))
    assert minimize(rosenbrock, start, steps=2).best.sharding.spec[0] == "data"


@pytest.mark.parametrize("optimizer", [optax.adam(0.05), optax.sgd(1e-4, momentum=0.9), optax.rmsprop(0.01)])
def test_any_optax_optimizer_gives_its_own_trajectory(optimizer):
    start, steps = jnp.asarray(STARTS[:1], jnp.float32), 30
    result = minimize(rosenbrock, start, steps=steps, chunk=11, optimizer=optimizer)
    x, state, values = start[0], optimizer.init(start[0]), []
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for _ in range(steps):
            value, grad = jax.value_and_grad(rosenbrock)(x)
            values.append(float(value))
            update, state = optimizer.update(grad, state, x)
            x = optax.apply_updates(x, update)
    np.testing.assert_allclose(result.history[:, 0], values, rtol=1e-3)
    assert float(result.value[0]) == pytest.approx(min([*values, float(rosenbrock(x))]), rel=1e-3)
    assert float(rosenbrock(result.best[0])) == pytest.approx(float(result.value[0]), rel=1e-5)


def test_improvement_may_be_stopped_after_any_chunk():
    start = jnp.asarray(STARTS, jnp.float32)
    solutions = iter(improve(rosenbrock, start, steps=20, chunk=5))
    early, later = next(solutions), next(solutions)
    assert early.history.shape == (5, 2)
    np.testing.assert_array_equal(later.history[:5], early.history)
    np.testing.assert_allclose([rosenbrock(x) for x in early.best], early.value, rtol=1e-5)
    assert np.all(later.value < early.value)


def test_ctrl_c_after_a_chunk_returns_the_solution_so_far():
    def interrupt(done, loss):
        if done == 10:
            raise KeyboardInterrupt

    start = jnp.asarray(STARTS, jnp.float32)
    solution, interrupted = minimize_until_interrupted(rosenbrock, start, steps=30, chunk=5, report=interrupt)
    assert interrupted
    assert len(solution.history) == 10
    _, interrupted = minimize_until_interrupted(rosenbrock, start, steps=10, chunk=5)
    assert not interrupted


def test_shared_arguments_have_no_batch_axis():
    def loss(x, target, scale):
        return jnp.sum((scale * x - target) ** 2)

    targets, scale = jnp.array([[3.0, 4.0], [5.0, 6.0]]), jnp.array([2.0, 4.0])
    result = minimize(loss, jnp.ones((2, 2)), targets, shared=(scale,))
    np.testing.assert_allclose(result.best, targets / scale[None], atol=1e-3)
