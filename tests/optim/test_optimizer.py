"""Optimizers built from configs, against optax, PyTorch's plateau rule, and the schedule-free paper's recursion."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from specjax.engine import train_state
from specjax.optim.optimizer import OptimizerConfig, PlateauConfig
from specjax.optim.schedules import ScheduleSpec

CENTER = np.linspace(-1, 1, 5).astype(np.float32)


def compute_gradient(x):
    return {"x": x["x"] - CENTER}


def init_params():
    return {"x": jnp.ones(5)}


@partial(jax.jit, static_argnums=0)
def update(config, state, gradients, learning_rate, loss):
    state, metrics = train_state.update(state, gradients, config.transform(learning_rate), loss)
    return state, metrics | config.metrics(state.opt_state)


def eval_params(config, state):
    return config.eval_params(state.params, state.opt_state, state.ema_params)


def train(config, steps, rate=0.1, losses=None):
    """Minimize a quadratic at a constant rate; return the state and metrics of each update."""
    state, history = train_state.create(init_params(), config.transform()), []
    for i in range(steps):
        loss = jnp.float32(1.0 if losses is None else losses[i])
        state, metrics = update(config, state, compute_gradient(state.params), jnp.float32(rate), loss)
        history.append((state, metrics))
    return history


def test_default_is_optax_adam():
    state, _ = train(OptimizerConfig(), 20)[-1]
    adam = optax.adam(0.1)
    params, optimizer = init_params(), adam.init(init_params())
    for _ in range(20):
        with jax.numpy_dtype_promotion("standard"):
            updates, optimizer = adam.update(compute_gradient(params), optimizer, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(state.params["x"], params["x"], atol=1e-6)


def compute_torch_plateau(losses, config):
    """Compute the scale after each update by PyTorch's ReduceLROnPlateau (relative threshold), on means of windows."""
    best, bad, cooldown, scale, scales = np.inf, 0, 0, 1.0, []
    for i in range(len(losses)):
        if (i + 1) % config.window == 0:
            value = np.mean(losses[i + 1 - config.window : i + 1])
            if value < best * (1 - config.tolerance):
                best, bad = value, 0
            else:
                bad += 1
            if cooldown:
                cooldown, bad = cooldown - 1, 0
            elif bad == config.patience:
                scale, bad, cooldown = max(scale * config.factor, config.least), 0, config.cooldown
        scales.append(scale)
    return scales


@pytest.mark.parametrize("cooldown", [0, 2])
def test_rate_is_reduced_when_the_loss_stops_falling(cooldown):
    plateau = PlateauConfig(patience=2, window=3, factor=0.5, least=0.1, cooldown=cooldown)
    losses = np.concatenate([np.linspace(5, 1, 12), np.full(40, 1.0), np.linspace(0.9, 0.1, 9), np.full(30, 0.1)])
    losses += 0.001 * np.random.default_rng(0).standard_normal(len(losses))
    history = train(OptimizerConfig(plateau=plateau), len(losses), losses=losses)
    scales = [float(metrics["lr_scale"]) for _, metrics in history]
    np.testing.assert_allclose(scales, compute_torch_plateau(losses, plateau), rtol=1e-6)
    assert scales[-1] < 0.5
    assert min(scales) >= 0.1


def test_plateau_scales_the_update():
    plateau = PlateauConfig(patience=1, window=1, factor=0.25, least=0.0)
    plain = train(OptimizerConfig(), 3)
    # The loss is constant, so the rate is reduced at the second update.
    reduced = train(OptimizerConfig(plateau=plateau), 3)
    np.testing.assert_allclose(reduced[0][0].params["x"], plain[0][0].params["x"], atol=1e-7)
    step = reduced[1][0].params["x"] - reduced[0][0].params["x"]
    full = plain[1][0].params["x"] - plain[0][0].params["x"]
    np.testing.assert_allclose(step, 0.25 * full, rtol=1e-5)


def test_skipped_update_does_not_count_as_a_measurement():
    plateau = PlateauConfig(patience=1, window=1, factor=0.5, least=0.0)
    config = OptimizerConfig(plateau=plateau)
    state = train(config, 1)[-1][0]
    skipped, metrics = update(config, state, compute_gradient(state.params), jnp.float32(0.1), jnp.float32(jnp.nan))
    assert float(metrics["lr_scale"]) == 1
    assert int(skipped.skipped) == 1


def test_schedule_free_matches_the_recursion_of_its_paper():
    """Defazio et al. 2024, equations 3 to 5, with Adam's second moment; y lies between z and x, the mean of all z."""
    b1, b2, rate, steps = 0.9, 0.99, 0.05, 30
    config = OptimizerConfig(kind="schedule_free", b1=b1, b2=b2, learning_rate=ScheduleSpec(value=rate))
    state = train(config, steps, rate=rate)[-1][0]
    z = x = y = np.ones(5)
    v = np.zeros(5)
    for t in range(1, steps + 1):
        g = y - CENTER
        v = b2 * v + (1 - b2) * g**2
        z = z - rate * g / (np.sqrt(v / (1 - b2**t)) + 1e-8)
        x = x + (z - x) / t
        y = (1 - b1) * z + b1 * x
    np.testing.assert_allclose(state.params["x"], y, atol=2e-5)
    np.testing.assert_allclose(eval_params(config, state)["x"], x, atol=2e-5)


def test_schedule_free_averages_out_noise_at_a_constant_rate():
    """With noisy gradients, its mean ends nearer to the minimum than the last point of Adam."""
    rng = np.random.default_rng(0)
    distances = {}
    for config in (OptimizerConfig(), OptimizerConfig(kind="schedule_free")):
        state = train_state.create(init_params(), config.transform())
        for _ in range(300):
            noisy = {"x": state.params["x"] - CENTER + rng.standard_normal(5).astype(np.float32)}
            state, _ = update(config, state, noisy, jnp.float32(0.05), jnp.float32(1.0))
        distances[config.kind] = float(jnp.linalg.norm(eval_params(config, state)["x"] - CENTER))
    assert distances["schedule_free"] < 0.7 * distances["adam"]


@pytest.mark.parametrize(
    "config",
    [
        OptimizerConfig(plateau=PlateauConfig(patience=1, window=2)),
        OptimizerConfig(kind="schedule_free"),
        OptimizerConfig(kind="schedule_free", clip=1.0, weight_decay=0.1, plateau=PlateauConfig(patience=1)),
    ],
)
def test_state_is_complete(config):
    """A run that is resumed from its arrays alone continues with the same bits."""
    history = train(config, 10)
    arrays, structure = jax.tree.flatten(history[4][0])
    state = jax.tree.unflatten(structure, [jnp.array(np.asarray(x)) for x in arrays])
    for _ in range(5):
        state, _ = update(config, state, compute_gradient(state.params), jnp.float32(0.1), jnp.float32(1.0))
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(history[-1][0]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "schedule_free", "ema_decay": 0.9}, "keeps its own average"),
        ({"kind": "schedule_free", "b1": 0.0}, "b1 above 0"),
        ({"b2": 1.0}, "optimizer.b2=1.0 must lie in"),
        ({"clip": -1.0}, "clip=-1.0, .* none may be negative"),
    ],
)
def test_invalid_options_raise(options, message):
    with pytest.raises(ValueError, match=message):
        OptimizerConfig(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"patience": -1},
        {"window": 0},
        {"factor": 1.0},
        {"least": 2.0},
        {"tolerance": 0.0},
        {"tolerance": 1.5},
        {"cooldown": -1},
    ],
)
def test_invalid_plateau_options_raise(options):
    with pytest.raises(ValueError, match=r"optimizer\.plateau"):
        PlateauConfig(**options)
