"""Tests of the train state: finite updates equal Adam's, non-finite updates are skipped."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from specjax.engine import train_state


def allow_promotion(transform):
    """Allow dtype promotion inside optax, which mixes integers and floats; our own code stays strict."""

    def update(gradients, state, params=None):
        with jax.numpy_dtype_promotion("standard"):
            return transform.update(gradients, state, params)

    return optax.GradientTransformation(transform.init, update)


TRANSFORM = optax.adam(0.1)
DECAY = jnp.float32(0.9)
RNG = np.random.default_rng(0)


def tree():
    return {
        "kernel": jnp.asarray(RNG.standard_normal((3, 4)), jnp.float32),
        "bias": jnp.asarray(RNG.standard_normal(4), jnp.float32),
    }


@jax.jit
def update(state, gradients, loss=1.0, decay=DECAY):
    return train_state.update(state, gradients, TRANSFORM, jnp.asarray(loss, jnp.float32), ema_decay=decay)


def run(state, gradients, function=update):
    for gradient in gradients:
        state, _ = function(state, gradient)
    return state


def assert_same_bits(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def assert_close(a, b, **tolerance):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


def test_initial_moving_average_is_a_copy_of_the_parameters():
    params = tree()
    state = train_state.create(params, TRANSFORM, ema=True)
    assert_same_bits(state.ema_params, params)
    assert state.ema_params["bias"] is not params["bias"]  # each buffer is donated only once
    assert (int(state.skipped), int(state.skipped_in_a_row)) == (0, 0)


def test_finite_updates_equal_optax_adam():
    params, gradients = tree(), [tree() for _ in range(5)]
    state = run(train_state.create(params, TRANSFORM, ema=True), gradients)
    adam = allow_promotion(optax.adam(0.1))
    expected, opt_state = params, adam.init(params)
    for gradient in gradients:
        updates, opt_state = adam.update(gradient, opt_state, expected)
        expected = optax.apply_updates(expected, updates)
    assert_close(state.params, expected, atol=1e-6)
    assert_close(state.opt_state, opt_state, atol=1e-6)
    assert int(state.skipped) == 0


@pytest.mark.parametrize("mode", ["plain", "vmap"])
def test_update_without_jit_and_under_vmap_equals_jitted_update(mode):
    state, gradient = train_state.create(tree(), TRANSFORM, ema=True), tree()

    def plain(state, gradient):
        return train_state.update(state, gradient, TRANSFORM, jnp.float32(1.0), ema_decay=DECAY)

    def vmapped(*args):
        return jax.tree.map(lambda y: y[0], jax.vmap(plain)(*jax.tree.map(lambda x: x[None], args)))

    result = {"plain": plain, "vmap": vmapped}[mode](state, gradient)
    assert_close(result, update(state, gradient), rtol=1e-5, atol=1e-7)


def test_moving_average_follows_formula():
    state = train_state.create(tree(), TRANSFORM, ema=True)
    expected = jax.tree.map(lambda x: np.asarray(x, float), state.params)
    for gradient in [tree() for _ in range(4)]:
        state, _ = update(state, gradient)
        expected = jax.tree.map(lambda a, p: 0.9 * a + 0.1 * np.asarray(p, float), expected, state.params)
    assert_close(state.ema_params, expected, rtol=1e-5, atol=1e-6)


def test_moving_average_without_decay_equals_parameters():
    state, _ = update(train_state.create(tree(), TRANSFORM, ema=True), tree(), decay=jnp.float32(0.0))
    assert_close(state.ema_params, state.params, rtol=1e-6)


NONFINITE = {
    "nan in one gradient": lambda g: (g | {"bias": g["bias"].at[2].set(jnp.nan)}, 1.0),
    "inf in one gradient": lambda g: (g | {"kernel": g["kernel"].at[0, 0].set(jnp.inf)}, 1.0),
    "minus inf": lambda g: (g | {"kernel": g["kernel"].at[0, 0].set(-jnp.inf)}, 1.0),
    "norm overflows": lambda g: (g | {"bias": jnp.full(4, 1e30)}, 1.0),
    "nan loss": lambda g: (g, np.nan),
    "inf loss": lambda g: (g, np.inf),
}


@pytest.mark.parametrize("case", NONFINITE)
class TestSkippedUpdate:
    def test_skipped_update_changes_no_bit_and_is_counted(self, case):
        state = run(train_state.create(tree(), TRANSFORM, ema=True), [tree(), tree()])
        gradient, loss = NONFINITE[case](tree())
        for count in (1, 2, 3):
            after, _ = update(state, gradient, loss)
            assert_same_bits(
                (after.params, after.opt_state, after.ema_params), (state.params, state.opt_state, state.ema_params)
            )
            assert (int(after.skipped), int(after.skipped_in_a_row)) == (count, count)
            state = after

    def test_training_continues_as_if_nothing_was_skipped(self, case):
        gradients = [tree() for _ in range(3)]
        start = train_state.create(tree(), TRANSFORM, ema=True)
        healthy = run(start, gradients)
        state = run(start, gradients[:2])
        state, _ = update(state, *NONFINITE[case](tree()))
        state = run(state, gradients[2:])
        assert_same_bits(
            (state.params, state.opt_state, state.ema_params), (healthy.params, healthy.opt_state, healthy.ema_params)
        )
        assert (int(state.skipped), int(state.skipped_in_a_row)) == (1, 0)


def test_batch_stats_change_in_finite_updates_only():
    old, new = {"mean": jnp.ones(3)}, {"mean": jnp.full(3, 2.0)}
    state = train_state.create(tree(), TRANSFORM, old, ema=True)

    @jax.jit
    def step(loss, batch_stats):
        return train_state.update(state, state.params, TRANSFORM, loss, batch_stats=batch_stats, ema_decay=DECAY)[0]

    assert_same_bits(step(jnp.float32(1.0), new).batch_stats, new)
    assert_same_bits(step(jnp.float32(1.0), None).batch_stats, old)
    for loss, batch_stats in ((np.nan, new), (1.0, {"mean": jnp.array([1.0, np.inf, 1.0])})):
        after = step(jnp.float32(loss), batch_stats)
        assert_same_bits((after.params, after.batch_stats), (state.params, old))
        assert int(after.skipped) == 1


def test_overflowing_update_of_finite_gradient_is_skipped():
    state = train_state.create(tree(), TRANSFORM, ema=True)
    after, metrics = train_state.update(state, tree(), optax.adam(jnp.float32(1e38)), jnp.float32(1.0), ema_decay=DECAY)
    assert not np.isfinite(metrics["update_norm"])
    assert_same_bits(after.params, state.params)
    assert int(after.skipped) == 1


@pytest.mark.parametrize(("case", "leaf"), [("nan in one gradient", 0), ("minus inf", 1), ("nan loss", -1)])
def test_nonfinite_leaf_is_index_of_first_nonfinite_gradient(case, leaf):
    """Leaves are sorted by name: bias, kernel."""
    gradient, loss = NONFINITE[case](tree())
    after, _ = update(train_state.create(tree(), TRANSFORM, ema=True), gradient, loss)
    assert int(after.nonfinite_leaf) == leaf


def test_metrics_are_norms_of_gradient_parameters_and_update():
    state, gradient = train_state.create(tree(), TRANSFORM, ema=True), tree()
    after, metrics = update(state, gradient)

    def norm(x):
        return np.sqrt(sum(np.sum(np.asarray(leaf, float) ** 2) for leaf in jax.tree.leaves(x)))

    np.testing.assert_allclose(metrics["grad_norm"], norm(gradient), rtol=1e-5)
    np.testing.assert_allclose(metrics["param_norm"], norm(after.params), rtol=1e-5)
    difference = jax.tree.map(lambda a, b: a - b, after.params, state.params)
    np.testing.assert_allclose(metrics["update_norm"], norm(difference), rtol=1e-5)
