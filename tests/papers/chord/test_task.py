"""The wing as a task: batches, schedules, what is measured and what leaves the house."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from conftest import exchanged
from specjax.engine import loop
from specjax.engine import sharding as meshes
from specjax.engine.config import TrainConfig
from specjax.engine.live.values import LiveValues, initial
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.chord import conditioning
from specjax.papers.chord.conditioning import Conditioning
from specjax.papers.chord.config import AugmentConfig, ChordConfig
from specjax.papers.chord.losses import LOSSES, mix
from specjax.papers.chord.model import UNetConfig
from specjax.papers.chord.task import ChordTask

CONFIG = ChordConfig(
    conditioning=Conditioning(size=112, fade_mean=56.0, fade_sigma=28.0, smear_columns=2.0),
    model=UNetConfig(widths=(4, 4, 4), head="rows", init="he"),
)


@pytest.fixture(scope="module")
def examples():
    """Built-in digits, on the device."""
    return jax.tree.map(jnp.asarray, ChordTask(CONFIG).load()[0])


def batch_of(config, examples, seed=0, count=4):
    return ChordTask(config).batch(examples, jnp.arange(count), jax.random.key(seed))


def test_targets_are_made_from_the_digit_and_its_label(examples):
    batch = batch_of(CONFIG, examples)
    ops = ChordTask(CONFIG).inference.operators
    np.testing.assert_allclose(batch.digit, np.asarray(examples.image[:4]) / 255, atol=1e-6)
    clean = conditioning.targets(ops, CONFIG.conditioning, batch.digit, batch.label, batch.quality, None)
    # Noise of dilution 20 changes a level by a tenth at most.
    np.testing.assert_allclose(batch.target, clean, atol=0.12)


def test_a_changed_digit_gets_the_target_of_what_it_became(examples):
    config = replace(CONFIG, augment=AugmentConfig(max_shift=3.0))
    batch = batch_of(config, examples)
    assert np.abs(batch.digit - np.asarray(examples.image[:4]) / 255).max() > 0.1
    ops = ChordTask(config).inference.operators
    clean = conditioning.targets(ops, config.conditioning, batch.digit, batch.label, batch.quality, None)
    np.testing.assert_allclose(batch.target, clean, atol=0.12)


def test_batches_are_pure_and_examples_independent(examples):
    config = replace(CONFIG, augment=AugmentConfig(max_shift=3.0))
    one, same, other = (batch_of(config, examples, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.target, same.target)
    assert np.abs(one.target - other.target).max() > 0
    np.testing.assert_allclose(batch_of(config, examples, count=2).target, one.target[:2], atol=1e-6)


def test_the_curriculum_counts_only_the_digits_of_its_hour():
    config = replace(CONFIG, curriculum=((0, (3,)), (10, (3, 4)), (20, tuple(range(10)))))
    mask = ChordTask(config).live_values["curriculum"].schedule
    shown = [np.flatnonzero(mask(jnp.float32(step))).tolist() for step in (0, 9, 10, 19, 20, 500)]
    assert shown == [[3], [3], [3, 4], [3, 4], list(range(10)), list(range(10))]


def test_a_masked_digit_teaches_nothing(examples):
    task = ChordTask(CONFIG)
    state = task.init(jax.random.key(0))
    batch = task.batch(examples, jnp.arange(4), jax.random.key(0))
    knobs = initial(task.live_values)
    step = jax.jit(task.step)
    nobody, metrics = step(state, batch, knobs | {"curriculum": jnp.zeros(10)}, jax.random.key(0))
    assert float(metrics["grad_norm"]) == 0
    only = knobs | {"curriculum": jnp.zeros(10).at[batch.label[0]].set(1.0)}
    first = step(state, batch, only, jax.random.key(0))[1]["loss"]
    everybody = step(state, batch, knobs, jax.random.key(0))[1]["loss"]
    alone = jax.tree.map(lambda x: x[jnp.array([0, 0, 0, 0])], batch)
    if np.sum(np.asarray(batch.label) == int(batch.label[0])) == 1:
        np.testing.assert_allclose(first, step(state, alone, knobs, jax.random.key(0))[1]["loss"], rtol=1e-5)
    assert float(first) != float(everybody)
    assert int(nobody.skipped) == 0


def test_a_loss_that_weighs_nothing_is_left_out():
    config = replace(CONFIG, loss=mix(huber=1.0, ms_ssim=ScheduleSpec("steps", value=0.0, end=0.1, over=5)))
    task = ChordTask(config)
    assert {name for name in initial(task.live_values) if name.startswith("loss.")} == {"loss.huber", "loss.ms_ssim"}
    assert {name for name in task.live_values if name.startswith("loss.")} == {f"loss.{name}" for name in LOSSES}


def test_the_reading_is_trained_by_the_label(examples):
    """Its loss alone moves what reads, and nothing that paints."""
    model = replace(CONFIG.model, labels=10)
    task = ChordTask(replace(CONFIG, model=model, loss=mix(label=1.0)))
    assert "loss.label" in task.live_values
    assert "loss.label" not in ChordTask(CONFIG).live_values, "a network that reads nothing has no such loss"
    state = task.init(jax.random.key(0))
    batch = task.batch(examples, jnp.arange(4), jax.random.key(0))
    knobs = initial(task.live_values)
    step = jax.jit(task.step)
    after, metrics = step(state, batch, knobs, jax.random.key(0))
    moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), after.params, state.params)
    assert moved["read"]["kernel"]
    assert moved["encode_fine_0"]["kernel"]
    assert not any(jax.tree.leaves({name: moved[name] for name in ("tell", "up_fine", "head")}))
    for _ in range(10):
        after, last = step(after, batch, knobs, jax.random.key(0))
    assert float(last["loss.label"]) < float(metrics["loss.label"])


def test_a_perfect_painter_gets_full_marks(examples):
    """Measured on its own noise-free targets, every figure is at its best."""
    task = ChordTask(
        replace(CONFIG, conditioning=replace(CONFIG.conditioning, size=252, fade_mean=126.0, fade_sigma=62.0))
    )
    count = 6
    label = jnp.asarray(examples.label[:count])
    digit = jnp.asarray(examples.image[:count], jnp.float32) / 255
    zero = jnp.zeros((count,), jnp.int32)
    perfect = conditioning.targets(task.inference.operators, task.config.conditioning, digit, label, zero, None)
    measures = jax.jit(jax.vmap(task._evaluation.measure))(perfect, digit, label, zero)
    summary = task.summarize({name: np.asarray(values) for name, values in measures.items()})
    assert summary["eval/exact_notes"] == summary["eval/label_named"] == summary["eval/quality_named"] == 1
    assert summary["eval/r_squared"] == pytest.approx(1)
    assert summary["eval/ms_ssim"] == pytest.approx(1, abs=1e-4)
    assert summary["eval/row_f1"] == pytest.approx(1)
    assert summary["eval/off_chord_db"] < -50
    assert summary["eval/pitch_error_cents"] < 5
    assert summary["eval/envelope_correlation"] > 0.85


def test_pictures_stay_on_their_devices(mesh):
    """Training by every loss there is, and measuring: devices exchange sums, never examples."""
    task = ChordTask(replace(CONFIG, loss=mix(**dict.fromkeys(LOSSES, 1.0))))
    config = TrainConfig(batch_size=mesh.size, steps_per_dispatch=1)
    train, held_out = task.load()
    examples = meshes.replicate(train, mesh)
    init = jax.jit(
        lambda key: loop.Run(jnp.zeros((), jnp.int32), task.init(key)), out_shardings=meshes.replicated_sharding(mesh)
    )
    run = init(jax.random.key(0))
    knobs = LiveValues(task.live_values, mesh)(0, 1)
    assert not exchanged(loop.compile_dispatch(task, config, mesh, run, examples, knobs))
    some = jax.device_put(loop.take(held_out, mesh.size), meshes.batch_sharding(mesh))
    assert not exchanged(jax.jit(task.evaluate).lower(run.state, some).compile())


def test_losses_on_fewer_columns_train_nearly_the_same(examples):
    """A quarter of the columns: the same parameters, nearly the same loss, whole pictures when it is judged."""
    losses = {}
    for columns in (0, 28):
        task = ChordTask(replace(CONFIG, columns=columns))
        state = task.init(jax.random.key(0))
        batch = task.batch(examples, jnp.arange(4), jax.random.key(0))
        assert batch.target.shape == (4, 112, columns or 112)
        knobs = initial(task.live_values)
        losses[columns] = float(jax.jit(task.step)(state, batch, knobs, jax.random.key(0))[1]["loss"])
        assert task.inference.predict(state.params, batch.digit, batch.quality).shape == (4, 112, 112)
    assert losses[28] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": {"entropy": ScheduleSpec()}}, "'entropy' is no loss: choose from mse"),
        ({"loss": mix()}, "give at least one loss"),
        ({"qualities": ("major", "jolly")}, "'jolly' is unknown"),
        ({"qualities": ("major", "minor")}, "must be told which"),
        ({"curriculum": ((5, (1,)),)}, "must start at step 0"),
        ({"model": UNetConfig(labels=9)}, "model.labels=9 with 10 labels of data"),
        ({"loss": mix(huber=1.0, label=0.1)}, "set model.labels to data.labels, or both to 0"),
        ({"columns": 50}, "columns=50 must divide conditioning.size=112"),
        ({"columns": 14}, "be at least 28"),
        ({"curriculum": ((0, (11,)),)}, "labels below 10"),
    ],
)
def test_what_cannot_be_trained_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)


def test_parts_are_the_averaged_network_and_its_config():
    task = ChordTask(CONFIG)
    parts = jax.eval_shape(lambda key: task.parts(task.init(key))["unet"].tensors, jax.random.key(0))
    assert parts["head"]["rows"].shape == (16, 112, 28)
    state = jax.eval_shape(task.init, jax.random.key(0))
    assert task.parts(state)["unet"].card["conditioning"]["size"] == 112
