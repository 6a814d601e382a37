"""The guarded update: plain Adam when all is well, nothing at all when not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from specjax.engine import train_state


def lenient(transform):
    """Optax mixes whole and real numbers within; the guard's own arithmetic stays strict."""

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
def stepped(state, gradients, loss=1.0, decay=DECAY):
    return train_state.update(state, gradients, TRANSFORM, jnp.asarray(loss, jnp.float32), ema_decay=decay)


def run(state, gradients, function=stepped):
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


def test_a_fresh_state_starts_its_average_at_a_copy_of_the_parameters():
    params = tree()
    state = train_state.create(params, TRANSFORM, ema=True)
    assert_same_bits(state.ema_params, params)
    assert state.ema_params["bias"] is not params["bias"]  # each buffer is given away once
    assert (int(state.skipped), int(state.skipped_in_a_row)) == (0, 0)


def test_healthy_updates_are_optax_adams():
    params, gradients = tree(), [tree() for _ in range(5)]
    state = run(train_state.create(params, TRANSFORM, ema=True), gradients)
    adam = lenient(optax.adam(0.1))
    expected, optimizer = params, adam.init(params)
    for gradient in gradients:
        updates, optimizer = adam.update(gradient, optimizer, expected)
        expected = optax.apply_updates(expected, updates)
    assert_close(state.params, expected, atol=1e-6)
    assert_close(state.opt_state, optimizer, atol=1e-6)
    assert int(state.skipped) == 0


@pytest.mark.parametrize("mode", ["plain", "vmap"])
def test_other_modes_are_the_jitted_ones(mode):
    state, gradient = train_state.create(tree(), TRANSFORM, ema=True), tree()

    def plain(state, gradient):
        return train_state.update(state, gradient, TRANSFORM, jnp.float32(1.0), ema_decay=DECAY)

    def vmapped(*args):
        return jax.tree.map(lambda y: y[0], jax.vmap(plain)(*jax.tree.map(lambda x: x[None], args)))

    found = {"plain": plain, "vmap": vmapped}[mode](state, gradient)
    assert_close(found, stepped(state, gradient), rtol=1e-5, atol=1e-7)


def test_the_average_moves_by_its_formula():
    state = train_state.create(tree(), TRANSFORM, ema=True)
    expected = jax.tree.map(lambda x: np.asarray(x, float), state.params)
    for gradient in [tree() for _ in range(4)]:
        state, _ = stepped(state, gradient)
        expected = jax.tree.map(lambda a, p: 0.9 * a + 0.1 * np.asarray(p, float), expected, state.params)
    assert_close(state.ema_params, expected, rtol=1e-5, atol=1e-6)


def test_without_decay_the_average_is_the_parameters():
    state, _ = stepped(train_state.create(tree(), TRANSFORM, ema=True), tree(), decay=jnp.float32(0.0))
    assert_close(state.ema_params, state.params, rtol=1e-6)


SICK = {
    "nan in one gradient": lambda g: (g | {"bias": g["bias"].at[2].set(jnp.nan)}, 1.0),
    "inf in one gradient": lambda g: (g | {"kernel": g["kernel"].at[0, 0].set(jnp.inf)}, 1.0),
    "minus inf": lambda g: (g | {"kernel": g["kernel"].at[0, 0].set(-jnp.inf)}, 1.0),
    "norm overflows": lambda g: (g | {"bias": jnp.full(4, 1e30)}, 1.0),
    "nan loss": lambda g: (g, np.nan),
    "inf loss": lambda g: (g, np.inf),
}


@pytest.mark.parametrize("illness", SICK)
class TestSick:
    def test_nothing_moves_by_a_bit_and_it_is_counted(self, illness):
        state = run(train_state.create(tree(), TRANSFORM, ema=True), [tree(), tree()])
        gradient, loss = SICK[illness](tree())
        for count in (1, 2, 3):
            after, metrics = stepped(state, gradient, loss)
            assert_same_bits(
                (after.params, after.opt_state, after.ema_params), (state.params, state.opt_state, state.ema_params)
            )
            assert (int(after.skipped), int(after.skipped_in_a_row)) == (count, count)
            assert (float(metrics["skipped"]), float(metrics["skipped_in_a_row"])) == (count, count)
            state = after

    def test_training_goes_on_as_if_nothing_had_been(self, illness):
        gradients = [tree() for _ in range(3)]
        start = train_state.create(tree(), TRANSFORM, ema=True)
        healthy = run(start, gradients)
        state = run(start, gradients[:2])
        state, _ = stepped(state, *SICK[illness](tree()))
        state = run(state, gradients[2:])
        assert_same_bits(
            (state.params, state.opt_state, state.ema_params), (healthy.params, healthy.opt_state, healthy.ema_params)
        )
        assert (int(state.skipped), int(state.skipped_in_a_row)) == (1, 0)


def test_statistics_follow_a_healthy_update_alone():
    seen, news = {"mean": jnp.ones(3)}, {"mean": jnp.full(3, 2.0)}
    state = train_state.create(tree(), TRANSFORM, seen, ema=True)

    @jax.jit
    def step(loss, batch_stats):
        return train_state.update(state, state.params, TRANSFORM, loss, batch_stats=batch_stats, ema_decay=DECAY)[0]

    assert_same_bits(step(jnp.float32(1.0), news).batch_stats, news)
    for loss, batch_stats in ((np.nan, news), (1.0, {"mean": jnp.array([1.0, np.inf, 1.0])})):
        after = step(jnp.float32(loss), batch_stats)
        assert_same_bits((after.params, after.batch_stats), (state.params, seen))
        assert int(after.skipped) == 1


def test_an_update_that_overflows_is_refused_though_its_gradient_is_finite():
    state = train_state.create(tree(), TRANSFORM, ema=True)
    after, metrics = train_state.update(state, tree(), optax.adam(jnp.float32(1e38)), jnp.float32(1.0), ema_decay=DECAY)
    assert not np.isfinite(metrics["update_norm"])
    assert_same_bits(after.params, state.params)
    assert int(after.skipped) == 1


@pytest.mark.parametrize(("illness", "leaf"), [("nan in one gradient", 0), ("minus inf", 1), ("nan loss", -1)])
def test_the_first_sick_gradient_is_named_by_its_place(illness, leaf):
    """Leaves are in the order of their names: bias, kernel."""
    gradient, loss = SICK[illness](tree())
    _, metrics = stepped(train_state.create(tree(), TRANSFORM, ema=True), gradient, loss)
    assert int(metrics["nonfinite_leaf"]) == leaf


def test_norms_are_those_of_what_was_done():
    state, gradient = train_state.create(tree(), TRANSFORM, ema=True), tree()
    after, metrics = stepped(state, gradient)

    def norm(x):
        return np.sqrt(sum(np.sum(np.asarray(leaf, float) ** 2) for leaf in jax.tree.leaves(x)))

    np.testing.assert_allclose(metrics["grad_norm"], norm(gradient), rtol=1e-5)
    np.testing.assert_allclose(metrics["param_norm"], norm(after.params), rtol=1e-5)
    moved = jax.tree.map(lambda a, b: a - b, after.params, state.params)
    np.testing.assert_allclose(metrics["update_norm"], norm(moved), rtol=1e-5)
