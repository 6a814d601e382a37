"""Classifier: parameters, batches, loss, measures, sharding and the exported bundle."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from sklearn.metrics import log_loss

from conftest import find_collectives
from specjax.cli.errors import UserError
from specjax.engine import program, sharding
from specjax.engine.config import TrainConfig
from specjax.engine.live.values import LiveValues, initial
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.texture.classify import ClassifierInference, convolutions
from specjax.papers.texture.config import AugmentConfig, ClassifierConfig
from specjax.papers.texture.data import Sounds, SoundsConfig
from specjax.papers.texture.model import ModelConfig
from specjax.papers.texture.representation import Representation
from specjax.papers.texture.style.networks import activations
from specjax.papers.texture.task import ClassifierTask

CLASSES = ("a", "b", "c", "d", "e", "f")
CONFIG = ClassifierConfig(
    data=SoundsConfig(classes=CLASSES, duration_s=0.5),
    representation=Representation(sample_rate=8000, n_fft=64, hop_length=64),
    model=ModelConfig(widths=(8, 4), centroid_classes=4),
)


def count_parameters(config):
    shapes = jax.eval_shape(ClassifierInference(config).init, jax.random.key(0))
    return sum(x.size for x in jax.tree.leaves(shapes["params"]))


def make_examples(count=12):
    """Random spectrograms of the shape that `CONFIG` expects."""
    rng = np.random.default_rng(0)
    levels = rng.uniform(size=(count, *ClassifierInference(CONFIG).levels_shape)).astype(np.float32)
    return Sounds(levels, np.arange(count, dtype=np.int32) % 6, np.arange(count, dtype=np.int32) % 4)


@pytest.fixture(scope="module")
def task():
    return ClassifierTask(CONFIG)


@pytest.fixture(scope="module")
def state(task):
    return jax.jit(task.init)(jax.random.key(2))


@pytest.fixture(scope="module")
def measure(task):
    """Compiled evaluation of the twelve examples."""
    evaluate = jax.jit(task.evaluate)
    return lambda state: evaluate(state, make_examples(), jnp.arange(12), {}, jax.random.key(0))


def test_papers_network_has_3729634_parameters():
    classes = tuple(map(str, range(50)))
    assert count_parameters(ClassifierConfig(data=SoundsConfig(classes=classes))) == 3_729_634
    assert ClassifierInference(ClassifierConfig()).levels_shape == (257, 856)


def test_second_task_adds_its_output_only():
    without = replace(CONFIG, model=replace(CONFIG.model, centroid_classes=0))
    assert count_parameters(CONFIG) - count_parameters(without) == 33 * 4


def test_rows_are_input_channels_only_in_the_layout_channels():
    """With the layout `image` the kernels are shared along frequency, with `channels` they are not."""
    for layout, shape in (("channels", (5, 33, 8)), ("image", (5, 9, 1, 8))):
        config = replace(CONFIG, model=replace(CONFIG.model, layout=layout))
        variables = jax.eval_shape(ClassifierInference(config).init, jax.random.key(0))
        assert variables["params"]["conv1"]["kernel"].shape == shape


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_loss_matches_scikit_learn(loss):
    task = ClassifierTask(replace(CONFIG, loss=loss))
    logits = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    label = np.array([0, 5, 2, 2, 1])
    ours = float(np.mean(task._cross_entropy(jnp.asarray(logits), jax.nn.one_hot(label, 6))))
    probability = np.asarray(task.inference.probabilities(jnp.asarray(logits)))
    if loss == "softmax":
        expected = log_loss(label, probability, labels=range(6))
    else:
        hot = np.eye(6)[label]
        expected = sum(log_loss(hot[:, i], probability[:, i], labels=[0, 1]) for i in range(6))
    assert ours == pytest.approx(expected, rel=1e-5)


def test_plain_batch_is_the_examples():
    examples = make_examples()
    batch = jax.jit(ClassifierTask(CONFIG).batch)(examples, jnp.array([3, 7]), jax.random.key(0))
    np.testing.assert_array_equal(batch.levels, examples.levels[[3, 7]])
    np.testing.assert_array_equal(batch.label, np.eye(6)[[3, 1]])
    np.testing.assert_array_equal(batch.centroid, np.eye(4)[[3, 3]])


def test_mixed_labels_add_up_to_one_and_follow_the_spectrograms():
    examples = make_examples()
    task = ClassifierTask(replace(CONFIG, augment=AugmentConfig(mixup=0.5), label_smoothing=0.1))
    batch = jax.jit(task.batch)(examples, jnp.arange(6), jax.random.key(1))
    np.testing.assert_allclose(batch.label.sum(1), 1, atol=1e-6)
    smoothed = 0.9 * np.eye(6) + 0.1 / 6
    for i in range(6):
        x, y = examples.levels[i], examples.levels[(i - 1) % 6]
        share = float(np.sum((batch.levels[i] - y) * (x - y)) / np.sum((x - y) ** 2))
        np.testing.assert_allclose(batch.label[i], share * smoothed[i] + (1 - share) * smoothed[i - 1], atol=1e-4)


def test_augmentation_depends_on_the_key_and_not_on_the_batch_size():
    augment = AugmentConfig(
        time_shift=True, max_row_shift=2, max_gain_db=6.0, time_masks=1, frequency_masks=1, time_mask_s=0.1
    )
    batch = jax.jit(ClassifierTask(replace(CONFIG, augment=augment)).batch)
    examples = make_examples()
    whole, part, other = (
        batch(examples, jnp.arange(n), jax.random.key(seed)).levels for n, seed in ((6, 0), (2, 0), (6, 1))
    )
    np.testing.assert_allclose(whole[:2], part, atol=1e-6)
    assert np.abs(whole - other).max() > 0.1


def test_training_learns_the_examples(state, measure):
    config = replace(
        CONFIG,
        model=replace(CONFIG.model, dropout=0.0),
        optimizer=OptimizerConfig(learning_rate=ScheduleSpec(value=3e-3)),
    )
    task, examples = ClassifierTask(config), make_examples()
    live, step = initial(task.live_values(100)), jax.jit(task.step)
    batch = jax.jit(task.batch)(examples, jnp.arange(12), jax.random.key(0))
    for _ in range(100):
        state, metrics = step(state, batch, {}, live, jax.random.key(0))
    assert float(metrics["accuracy"]) == 1
    summary = task.summarize({name: np.asarray(x) for name, x in measure(state).items()})
    assert summary["eval/accuracy"] == summary["eval/accuracy_worst_class"] == summary["eval/accuracy_high"] == 1
    assert 0.7 < summary["eval/accuracy_low"] < 1
    assert task.sample(jax.device_get(state), examples, {}, jax.random.key(0)).pictures["held_out"].ndim == 3


def test_views_are_averaged(task, state):
    once, twice = (ClassifierInference(replace(CONFIG, views=n)) for n in (1, 2))
    variables = task.inference_variables(state)
    levels = make_examples(2).levels
    shifted = np.roll(levels, levels.shape[-1] // 2, axis=-1)
    predict = jax.jit(once.predict)
    expected = (predict(variables, levels).label + predict(variables, shifted).label) / 2
    np.testing.assert_allclose(jax.jit(twice.predict)(variables, levels).label, expected, atol=1e-5)


def test_top_5_counts_labels_among_the_five_largest_logits(task, state, measure):
    examples = make_examples()
    logits = jax.jit(task.inference.predict)(task.inference_variables(state), examples.levels).label
    top = np.argsort(-np.asarray(logits), axis=1)[:, :5]
    expected = [label in row for label, row in zip(examples.label, top, strict=True)]
    np.testing.assert_array_equal(measure(state)["top_5"], expected)


def test_ties_and_nan_count_as_wrong(state, measure):
    for value in (0.0, np.nan):
        params = jax.tree.map(lambda x, v=value: np.full(x.shape, v, np.float32), state.params)
        assert float(jnp.sum(measure(state._replace(params=params))["accuracy"])) == 0


def test_trained_convolutions_see_255_times_the_levels():
    """On levels from 0 to 255, the convolutions of style transfer give 255 times the activations of the classifier."""
    config = ClassifierConfig(data=SoundsConfig(classes=("a", "b")), model=ModelConfig(widths=(8, 4), hidden=2))
    inference = ClassifierInference(config)
    variables = jax.jit(inference.init)(jax.random.key(0))
    frames = jnp.asarray(np.random.default_rng(0).uniform(size=(16, 257)), jnp.float32)
    plain = {name: variables["params"][name] for name in ("conv1", "conv2")}
    scaled = convolutions(inference, variables, "bundle")
    for ours, trained in zip(activations(255 * frames, scaled), activations(frames, plain), strict=True):
        np.testing.assert_allclose(ours, 255 * trained, rtol=1e-4, atol=1e-3)
    with pytest.raises(UserError, match="other spectrograms than the paper's"):
        convolutions(ClassifierInference(replace(config, representation=Representation(axis="mel"))), {}, "b")
    with pytest.raises(UserError, match="convolutions of 3 frames, expected 'channels' and 'paper' with 2 of 5"):
        convolutions(ClassifierInference(replace(config, model=ModelConfig(kernel_frames=3))), {}, "b")


def test_devices_exchange_no_examples(mesh, task):
    """In a training step and in evaluation, devices exchange sums but never spectrograms."""
    examples = make_examples(2 * mesh.size)
    config = TrainConfig(batch_size=mesh.size, steps_per_dispatch=1)
    inputs, run = program.place(examples, {}, task, mesh), program.init(task, config, mesh)
    live = LiveValues(task.live_values(10), mesh)(0, 1)
    assert not find_collectives(program.compile_update(task, config, mesh, 2 * mesh.size, run, inputs, live))
    indices = jax.device_put(jnp.arange(mesh.size), sharding.batch_sharding(mesh))
    compiled = jax.jit(task.evaluate).lower(run.state, inputs.examples, indices, {}, jax.random.key(0)).compile()
    assert not find_collectives(compiled)


@pytest.mark.long  # engine/test_toys.py has the same with small programs
def test_four_devices_train_like_one(mesh):
    """An update with augmentation of single examples and of pairs, with the batch on one device and split over all."""
    augment = AugmentConfig(mixup=0.3, time_shift=True)
    task, examples = ClassifierTask(replace(CONFIG, augment=augment)), make_examples(12)
    config = TrainConfig(batch_size=8, steps_per_dispatch=1)
    states = []
    for count in (1, 4):
        small = Mesh(mesh.devices.flat[:count].reshape(1, count), mesh.axis_names, axis_types=mesh.axis_types)
        with jax.set_mesh(small):
            inputs, run = program.place(examples, {}, task, small), program.init(task, config, small)
            live = LiveValues(task.live_values(10), small)(0, 1)
            run, _ = program.compile_update(task, config, small, 12, run, inputs, live)(run, inputs, live)
        states.append(jax.device_get(run.state.params))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *states)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: AugmentConfig(mixup=-1.0), "mixup=-1.0 must not be negative"),
        (lambda: ModelConfig(widths=(8, 0)), "must be at least 1"),
        (lambda: Representation(mel_bands=0), "mel_bands=0 must be at least 1"),
        (
            lambda: SoundsConfig(held_out_folds=(1,), train_folds=(1, 2)),
            "fold 1 is in held_out_folds and in train_folds",
        ),
        (lambda: replace(CONFIG, label_smoothing=1.0), "must lie in"),
        (lambda: replace(CONFIG, data=replace(CONFIG.data, duration_s=0.03)), "expected at least 8"),
        (lambda: replace(CONFIG, data=replace(CONFIG.data, duration_s=0.4)), "needs data.duration_s of at least 0.5"),
        (lambda: replace(CONFIG, views=0), "views=0 at least 1"),
    ],
)
def test_settings_out_of_range_raise(change, message):
    with pytest.raises(ValueError, match=message):
        change()
