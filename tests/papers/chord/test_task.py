"""Chord training task: batches, schedules, training steps, evaluation and export."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from conftest import find_collectives
from specjax.engine import program, sharding
from specjax.engine.config import TrainConfig
from specjax.engine.live.values import LiveValues, initial
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.chord import conditioning
from specjax.papers.chord.conditioning import Conditioning
from specjax.papers.chord.config import AugmentConfig, ChordConfig
from specjax.papers.chord.losses import LOSSES, mix
from specjax.papers.chord.model import UNetConfig
from specjax.papers.chord.task import ChordTask

STEPS = 1000
CONFIG = ChordConfig(
    conditioning=Conditioning(size=112, fade_mean=56.0, fade_sigma=28.0, smear_columns=2.0),
    model=UNetConfig(widths=(4, 4, 4), depth=1, head="rows", init="he"),
)


@pytest.fixture(scope="module")
def examples():
    """Load the built-in digits onto the device."""
    return jax.tree.map(jnp.asarray, ChordTask(CONFIG).load().train)


def make_batch(config, examples, seed=0, count=4):
    return jax.jit(ChordTask(config).batch)(examples, jnp.arange(count), jax.random.key(seed))


def start(task, examples):
    """Return the initial state of a task, a batch of four examples, and the live values of the first update."""
    state = jax.jit(task.init)(jax.random.key(0))
    return state, make_batch(task.config, examples), initial(task.live_values(STEPS))


def test_targets_match_the_digit_and_its_label(examples):
    batch = make_batch(CONFIG, examples)
    ops = ChordTask(CONFIG).inference.operators
    np.testing.assert_allclose(batch.digit, np.asarray(examples.image[:4]) / 255, atol=1e-6)
    clean = conditioning.targets(ops, CONFIG.conditioning, batch.digit, batch.label, batch.quality, None)
    # Noise with a dilution of 20 changes a level by at most a tenth.
    np.testing.assert_allclose(batch.target, clean, atol=0.12)


@pytest.mark.parametrize("bounds", [AugmentConfig(max_shift=3.0), AugmentConfig(max_stroke=2.0)])
def test_target_is_computed_from_the_augmented_digit(examples, bounds):
    config = replace(CONFIG, augment=bounds)
    batch = make_batch(config, examples)
    assert np.abs(batch.digit - np.asarray(examples.image[:4]) / 255).max() > 0.1
    ops = ChordTask(config).inference.operators
    clean = conditioning.targets(ops, config.conditioning, batch.digit, batch.label, batch.quality, None)
    np.testing.assert_allclose(batch.target, clean, atol=0.12)


def test_batches_are_reproducible_and_examples_independent(examples):
    config = replace(CONFIG, augment=AugmentConfig(max_shift=3.0))
    one, same, other = (make_batch(config, examples, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.target, same.target)
    assert np.abs(one.target - other.target).max() > 0
    np.testing.assert_allclose(make_batch(config, examples, count=2).target, one.target[:2], atol=1e-6)


def test_curriculum_masks_labels_by_step():
    config = replace(CONFIG, curriculum=((0, (3,)), (10, (3, 4)), (20, tuple(range(10)))))
    mask = ChordTask(config).live_values(STEPS)["curriculum"].schedule
    counted = [np.flatnonzero(mask(jnp.float32(step))).tolist() for step in (0, 9, 10, 19, 20, 500)]
    assert counted == [[3], [3], [3, 4], [3, 4], list(range(10)), list(range(10))]


def test_masked_labels_have_no_gradient_and_do_not_count_in_the_loss(examples):
    task = ChordTask(CONFIG)
    state, batch, live = start(task, examples)
    step = jax.jit(task.step)
    masked_state, metrics = step(state, batch, {}, live | {"curriculum": jnp.zeros(10)}, jax.random.key(0))
    assert float(metrics["grad_norm"]) == 0
    first_label = live | {"curriculum": jnp.zeros(10).at[batch.label[0]].set(1.0)}
    masked_loss = step(state, batch, {}, first_label, jax.random.key(0))[1]["loss"]
    full_loss = step(state, batch, {}, live, jax.random.key(0))[1]["loss"]
    repeated = jax.tree.map(lambda x: x[jnp.array([0, 0, 0, 0])], batch)
    if np.sum(np.asarray(batch.label) == int(batch.label[0])) == 1:
        np.testing.assert_allclose(
            masked_loss, step(state, repeated, {}, live, jax.random.key(0))[1]["loss"], rtol=1e-5
        )
    assert float(masked_loss) != float(full_loss)
    assert int(masked_state.skipped) == 0


def test_losses_without_weight_are_dormant():
    config = replace(CONFIG, loss=mix(huber=1.0, ms_ssim=ScheduleSpec("steps", value=0.0, end=0.1, over=5)))
    task = ChordTask(config)
    assert {name for name in initial(task.live_values(STEPS)) if name.startswith("loss.")} == {
        "loss.huber",
        "loss.ms_ssim",
    }
    assert {name for name in task.live_values(STEPS) if name.startswith("loss.")} == {f"loss.{name}" for name in LOSSES}


def test_label_loss_trains_only_the_classifier_and_the_encoder(examples):
    """The loss `label` alone changes the classifier and the encoder, but neither the decoder nor the head."""
    model = replace(CONFIG.model, labels=10)
    task = ChordTask(replace(CONFIG, model=model, loss=mix(label=1.0)))
    assert "loss.label" in task.live_values(STEPS)
    assert "loss.label" not in ChordTask(CONFIG).live_values(STEPS), (
        "a network without a classifier has no loss `label`"
    )
    state, batch, live = start(task, examples)
    step = jax.jit(task.step)
    after, metrics = step(state, batch, {}, live, jax.random.key(0))
    changed = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), after.params, state.params)
    assert changed["read"]["kernel"]
    assert changed["encode_fine_0"]["kernel"]
    assert not any(jax.tree.leaves({name: changed[name] for name in ("tell", "up_fine", "head")}))
    for _ in range(10):
        after, last = step(after, batch, {}, live, jax.random.key(0))
    assert float(last["loss.label"]) < float(metrics["loss.label"])


def test_noise_free_targets_get_perfect_metrics(examples):
    """Noise-free targets, evaluated as if they were predictions, get the best value of every metric."""
    task = ChordTask(
        replace(CONFIG, conditioning=replace(CONFIG.conditioning, size=252, fade_mean=126.0, fade_sigma=62.0))
    )
    count = 6
    label = jnp.asarray(examples.label[:count])
    digit = jnp.asarray(examples.image[:count], jnp.float32) / 255
    zero = jnp.zeros((count,), jnp.int32)
    targets = conditioning.targets(task.inference.operators, task.config.conditioning, digit, label, zero, None)
    measured = jax.jit(jax.vmap(task._evaluation.measure))(targets, digit, label, zero)
    summary = task.summarize({name: np.asarray(values) for name, values in measured.items()})
    assert summary["eval/exact_notes"] == summary["eval/label_named"] == summary["eval/quality_named"] == 1
    assert summary["eval/r_squared"] == pytest.approx(1)
    assert summary["eval/ms_ssim"] == pytest.approx(1, abs=1e-4)
    assert summary["eval/row_f1"] == pytest.approx(1)
    assert summary["eval/off_chord_db"] < -50
    assert summary["eval/pitch_error_cents"] < 5
    assert summary["eval/envelope_correlation"] > 0.85


@pytest.mark.long  # papers/texture/test_classifier.py has the same test with a smaller program
def test_devices_exchange_no_examples(mesh):
    """In a training step with every loss, and in evaluation, devices exchange sums but never examples."""
    task = ChordTask(replace(CONFIG, loss=mix(**dict.fromkeys(LOSSES, 1.0))))
    config = TrainConfig(batch_size=mesh.size, steps_per_dispatch=1)
    data = task.load()
    inputs = program.place(data.train, {}, task, mesh)
    run = program.init(task, config, mesh)
    live = LiveValues(task.live_values(STEPS), mesh)(0, 1)
    assert not find_collectives(program.compile_update(task, config, mesh, data.train_count, run, inputs, live))
    indices = jax.device_put(jnp.arange(mesh.size), sharding.batch_sharding(mesh))
    held_out = program.place(data.held_out, {}, task, mesh)
    compiled = jax.jit(task.evaluate).lower(run.state, held_out.examples, indices, {}, jax.random.key(0)).compile()
    assert not find_collectives(compiled)


@pytest.mark.long  # compiles two steps
def test_loss_on_fewer_columns_is_nearly_the_same(examples):
    """A quarter of the columns gives nearly the same loss, and predictions still have all columns."""
    losses = {}
    for columns in (0, 28):
        task = ChordTask(replace(CONFIG, columns=columns, model=replace(CONFIG.model, depth=3)))
        state, batch, live = start(task, examples)
        assert batch.target.shape == (4, 112, columns or 112)
        losses[columns] = float(jax.jit(task.step)(state, batch, {}, live, jax.random.key(0))[1]["loss"])
        picture = jax.eval_shape(task.inference.predict, state.params, batch.digit, batch.quality)
        assert picture.shape == (4, 112, 112)
    assert losses[28] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": {"entropy": ScheduleSpec()}}, "'entropy' is unknown: choose from mse"),
        ({"loss": mix()}, "all weights are 0: give at least one of"),
        ({"qualities": ("major", "jolly")}, "'jolly' is unknown"),
        ({"qualities": ("major", "minor")}, "set model.qualities to the number of chord qualities"),
        ({"curriculum": ((5, (1,)),)}, "starts at step 5: it must start at step 0"),
        ({"model": UNetConfig(labels=9)}, "model.labels=9 with data.labels=10"),
        ({"loss": mix(huber=1.0, label=0.1)}, "set model.labels to data.labels, or model.labels and the weight to 0"),
        ({"columns": 50}, "columns=50 must divide conditioning.size=112"),
        ({"columns": 14}, "be at least 28"),
        ({"curriculum": ((0, (11,)),)}, "labels below 10"),
        ({"curriculum": ((0, (1,)), (20, (2,)), (10, (3,)))}, r"steps are \[0, 20, 10\]: they must increase"),
        ({"curriculum": ((0, (1,)), (0, (2,)))}, r"steps are \[0, 0\]: they must increase"),
    ],
)
def test_inconsistent_settings_raise(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)


def test_bundle_has_the_network_and_its_config():
    task = ChordTask(CONFIG)
    parts = jax.eval_shape(lambda key: task.parts(task.init(key), {})["unet"].tensors, jax.random.key(0))
    assert parts["head"]["rows"].shape == (16, 112, 28)
    state = jax.eval_shape(task.init, jax.random.key(0))
    assert task.parts(state, {})["unet"].card["conditioning"]["size"] == 112
