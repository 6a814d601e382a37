"""The GAN's task: batches, separate updates, ensembles on several devices, evaluation, and the exported bundle."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from specjax.engine import bundle, program
from specjax.engine.config import TrainConfig
from specjax.engine.live.values import LiveValues, initial
from specjax.nn.adversarial import PenaltyConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.melody import data
from specjax.papers.melody.blocks import measure_deviations, to_coefficients, to_values
from specjax.papers.melody.config import AugmentConfig, GanConfig
from specjax.papers.melody.inference import open_generator
from specjax.papers.melody.mel_clips import Music
from specjax.papers.melody.model import BLOCK_FRAMES, COEFFICIENTS, COLUMN_FRAMES, ModelConfig
from specjax.papers.melody.representation import FRAMES, MELS, Representation, Statistics
from specjax.papers.melody.task import GanTask
from specjax.papers.melody.tracks import MusicConfig
from stops import assert_resumes_with_the_same_bits

GENRES = ("blues", "jazz", "pop", "rock")
# The gradient of the discriminator's last bias is 0 but for rounding, which a smaller epsilon would blow up.
OPTIMIZER = OptimizerConfig(learning_rate=ScheduleSpec(value=1e-3), b1=0.0, epsilon=1e-3)
CONFIG = GanConfig(
    data=MusicConfig(genres=GENRES),
    representation=Representation(statistics=Statistics(1.0, (-30.0,) * MELS, (10.0,) * MELS)),
    model=ModelConfig(4, 4, column_depth=0, block_depth=1, whole_latents=3, local_latents=4),
    columns=2,
    deviations=tuple(1 / (1 + np.arange(COEFFICIENTS) % 8)),
    loss="relativistic",
    penalty=PenaltyConfig("difference", ScheduleSpec(value=0.1)),
    generator=OPTIMIZER,
    discriminator=OPTIMIZER,
)
ENSEMBLE = replace(CONFIG, ensemble=True)
# Settings in which the paper's third approach differs.
PAPER = {
    "approach": "relu",
    "representation": replace(CONFIG.representation, scale="power"),
    "deviations": (),
    "loss": "least_squares",
    "penalty": PenaltyConfig(),
}


@pytest.fixture(scope="module")
def music():
    """Three clips of each genre, of which the second has only two different ones."""
    mel = 10 ** np.random.default_rng(0).uniform(-5, -1, (4, 3, MELS, FRAMES)).astype(np.float32)
    return Music(mel, np.array([3, 2, 3, 3], np.int32), np.arange(12, dtype=np.int32).reshape(4, 3))


def update(task, music):
    state = jax.jit(task.init)(jax.random.key(0))
    batch = jax.jit(task.batch)(music, jnp.array([0, 4, 5]), jax.random.key(1))
    return state, jax.jit(task.step)(state, batch, {}, initial(task.live_values(10)), jax.random.key(2))


@pytest.fixture(scope="module")
def train(music):
    """Function that updates one network a number of times, with a learning rate of 0 for the other and no penalty."""
    task = GanTask(CONFIG)
    step = jax.jit(task.step)
    batch = jax.jit(task.batch)(music, jnp.array([0, 4, 5]), jax.random.key(1))

    def run(trained, steps):
        still = {f"{name}.lr": jnp.zeros(()) for name in ("generator", "discriminator") if name != trained}
        live = initial(task.live_values(10)) | still | {"penalty": jnp.zeros(())}
        start = state = jax.jit(task.init)(jax.random.key(0))
        losses = []
        for _ in range(steps):
            state, metrics = step(state, batch, {}, live, jax.random.key(2))
            losses.append(float(metrics[f"{trained}.loss"]))
        return start, state, losses

    return run


def find_part(part, clip):
    """First frame of a part of a clip; raises if it is none."""
    frames = part.shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(clip), frames, axis=1)  # mels, starts, frames
    (starts,) = np.nonzero(np.abs(windows - np.asarray(part)[:, None]).max(axis=(0, 2)) < 1e-6)
    (start,) = starts
    return start


def test_a_batch_has_parts_of_the_clips_and_the_genres_of_its_indices(music):
    task = GanTask(CONFIG)
    clips = CONFIG.representation.encode(jnp.stack([music.mel[0, 0], music.mel[1, 1], music.mel[2, 0]]))
    starts = set()
    for seed in range(3):
        batch = jax.jit(task.batch)(music, jnp.array([0, 4, 5]), jax.random.key(seed))
        assert batch.values.shape == (3, MELS, 2 * COLUMN_FRAMES)
        starts |= {find_part(part, clip) for part, clip in zip(batch.values, clips, strict=True)}
        np.testing.assert_array_equal(jnp.argmax(batch.condition, axis=1), [0, 1, 2])
    assert len(starts) > 5


def test_a_batch_of_an_ensemble_has_clips_of_every_genre(music):
    batch = jax.jit(GanTask(ENSEMBLE).batch)(music, jnp.array([0, 2]), jax.random.key(0))
    assert batch.values.shape == (4, 2, MELS, 2 * COLUMN_FRAMES)
    clip = CONFIG.representation.encode(jnp.asarray(music.mel[1, 0]))  # the genre has only two different clips
    assert all(find_part(part, clip) >= 0 for part in batch.values[1])


@pytest.mark.parametrize(("trained", "still"), [("generator", "discriminator"), ("discriminator", "generator")])
def test_each_network_is_trained_by_its_own_loss_only(trained, still, train):
    """With a learning rate of 0 a network stays as it is, whatever happens to the other, whose loss falls."""
    start, end, losses = train(trained, 12)
    jax.tree.map(np.testing.assert_array_equal, getattr(start, still).params, getattr(end, still).params)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("approach", "scale"), [pytest.param("tanh", "signed_power", marks=pytest.mark.long), ("relu", "power")]
)
def test_the_papers_networks_keep_running_statistics(approach, scale, music):
    representation = replace(CONFIG.representation, scale=scale)
    config = replace(
        CONFIG,
        data=MusicConfig(genres=GENRES[:1]),
        approach=approach,
        representation=representation,
        loss="least_squares",
        penalty=PenaltyConfig(),
    )
    state, (new, metrics) = update(GanTask(config), music)
    for before, after in zip(state[:2], new[:2], strict=True):
        changed = jax.tree.map(lambda a, b: bool(np.any(a != b)), before.batch_stats, after.batch_stats)
        assert all(jax.tree.leaves(changed))
        assert int(after.skipped) == 0
    assert np.isfinite(float(metrics["discriminator.loss"]))


def test_spectral_normalization_makes_scores_independent_of_the_scale_of_a_kernel():
    inference = GanTask(replace(CONFIG, spectral_norm=True)).inference
    _, discriminator = jax.jit(inference.init)(jax.random.key(0))
    large = jax.tree.map(lambda x: 100 * x if x.ndim > 1 else x, discriminator)
    larger = jax.tree.map(lambda x: 1000 * x if x.ndim > 1 else x, discriminator)
    values, shares = jax.random.uniform(jax.random.key(1), (2, MELS, FRAMES)), jnp.eye(4)[:2]
    score = jax.jit(inference.score)
    np.testing.assert_allclose(score(larger, values, shares), score(large, values, shares), rtol=1e-3)


@pytest.mark.long  # engine/test_toys.py has the same test with small programs
@pytest.mark.parametrize("config", [CONFIG, ENSEMBLE], ids=["conditional", "ensemble"])
def test_one_and_four_devices_give_the_same_losses(config, music, mesh):
    task, settings = GanTask(config), TrainConfig(steps=3, batch_size=4, eval_every=0)
    losses = []
    for count in (1, 4):
        shape = (count, 1) if task.models > 1 else (1, count)
        small = Mesh(mesh.devices.flat[:count].reshape(shape), mesh.axis_names, axis_types=mesh.axis_types)
        with jax.set_mesh(small):
            inputs, run = program.place(music, {}, task, small), program.init(task, settings, small)
            live = LiveValues(task.live_values(3), small)(0, 1)
            update = program.compile_update(task, settings, small, 3, run, inputs, live)
            found = []
            for _ in range(3):
                run, outputs = update(run, inputs, live)
                found.append([outputs.metrics[f"{name}.loss"] for name in ("generator", "discriminator")])
        losses.append(np.asarray(jax.device_get(found)))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)


@pytest.mark.long
def test_a_resumed_run_ends_with_the_same_bits(music, monkeypatch, tmp_path):
    """With a factor of the penalty that is adapted, which is part of the state."""
    monkeypatch.setattr(data, "load", lambda config: (music, music))
    config = replace(CONFIG, penalty=replace(CONFIG.penalty, adapt=0.1))
    settings = TrainConfig(steps=3, batch_size=4, eval_every=0, sample_every=0, steps_per_dispatch=1)
    assert_resumes_with_the_same_bits(GanTask(config), settings, tmp_path)


def test_augmentation_changes_real_and_generated_clips(music):
    task = GanTask(replace(CONFIG, augment=AugmentConfig(enabled=True)))
    batch = jax.jit(task.batch)(music, jnp.array([0, 4, 5]), jax.random.key(1))
    real, fake = jax.jit(task.augment)(jax.random.key(3), batch.values, batch.values)
    for changed in (real, fake):
        assert not np.allclose(changed, task.inference.view(batch.values), atol=1e-3)
    assert not np.allclose(real, fake, atol=1e-3)


def test_without_augmentation_the_discriminator_sees_both_in_the_same_way(music):
    task = GanTask(CONFIG)
    values = jax.jit(task.batch)(music, jnp.array([0, 4, 5]), jax.random.key(1)).values
    real, fake = jax.jit(task.augment)(jax.random.key(3), values, values)
    np.testing.assert_array_equal(real, fake)


@pytest.mark.parametrize("whitening", [0.0, 0.5, 1.0])
def test_whitening_divides_coefficients_by_a_power_of_their_deviations(whitening):
    """The mean square of all is 1, and deviations from 1 to 1/8 keep the remaining power of their ratios."""
    deviations = np.asarray(CONFIG.deviations, np.float32)
    coefficients = np.random.default_rng(0).standard_normal((4, 104, COEFFICIENTS)).astype(np.float32) * deviations
    inference = GanTask(replace(CONFIG, whitening=whitening)).inference
    seen = np.asarray(inference.view(to_values(jnp.asarray(coefficients), BLOCK_FRAMES)), float)
    root = np.sqrt(np.mean(seen**2, axis=(0, 1)))
    assert np.sqrt(np.mean(root**2)) == pytest.approx(1, abs=0.02)
    slope = np.polyfit(np.log(deviations), np.log(root), 1)[0]
    assert slope == pytest.approx(1 - whitening, abs=0.02)


def test_deviations_are_measured_when_training_starts(music, monkeypatch):
    monkeypatch.setattr(data, "load", lambda config: (music, music))
    resolved = replace(CONFIG, deviations=()).resolve()
    assert resolved.deviations == measure_deviations(music, CONFIG.representation, BLOCK_FRAMES)
    assert replace(ENSEMBLE, **PAPER).resolve().deviations == ()


def test_generated_blocks_have_the_deviations_of_the_training_clips():
    """At the start, each coefficient is as large as the config says."""
    inference = GanTask(replace(CONFIG, model=replace(CONFIG.model, width=64))).inference
    generator, _ = jax.jit(inference.init)(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 16)
    values = inference.generate(generator, inference.draw_latents(keys), jnp.eye(4)[jnp.arange(16) % 4], 432)
    root = np.sqrt(np.mean(np.asarray(to_coefficients(values, BLOCK_FRAMES)) ** 2, axis=(0, 1)))
    ratio = root / np.asarray(CONFIG.deviations)
    assert 0.7 < np.median(ratio) < 1.4
    assert np.std(np.log(ratio)) < 0.4


def test_the_factor_of_the_penalty_is_part_of_the_state_and_multiplies_the_live_value(music):
    task = GanTask(replace(CONFIG, penalty=PenaltyConfig("difference", ScheduleSpec(value=0.1), adapt=0.25)))
    live = initial(task.live_values(10))
    batch = jax.jit(task.batch)(music, jnp.array([0, 4, 5]), jax.random.key(1))
    step = jax.jit(task.step)
    state = jax.jit(task.init)(jax.random.key(0))._replace(penalty_scale=jnp.float32(4.0))
    after, metrics = step(state, batch, {}, live, jax.random.key(2))
    plain = state._replace(penalty_scale=jnp.ones(()))
    _, expected = step(plain, batch, {}, live | {"penalty": 4 * live["penalty"]}, jax.random.key(2))
    np.testing.assert_allclose(metrics["discriminator.loss"], expected["discriminator.loss"], rtol=1e-6)
    assert float(metrics["penalty_scale"]) == 4
    change = 1.25 if float(metrics["auc"]) > 0.9 else 0.8
    assert float(after.penalty_scale) == pytest.approx(4 * change)


@pytest.mark.parametrize(
    "config",
    [pytest.param(CONFIG, id="conditional"), pytest.param(ENSEMBLE, marks=pytest.mark.long, id="ensemble")],
)
def test_evaluation_measures_every_genre_and_marks_repeated_clips(config, music):
    task = GanTask(config)
    state = jax.jit(task.init)(jax.random.key(0))
    measures = jax.jit(task.evaluate)(state, music, jnp.array([0, 2]), {}, jax.random.key(0))
    assert all(values.shape[:2] == (2, 4) for values in measures.values())
    np.testing.assert_array_equal(measures["valid"], [[True] * 4, [True, False, True, True]])
    figures = task.summarize({name: np.asarray(values) for name, values in measures.items()})
    assert figures["eval/clips"] == 7


def test_each_genre_of_an_ensemble_has_its_own_network():
    task = GanTask(ENSEMBLE)
    variables = task.generator_variables(jax.device_get(jax.jit(task.init)(jax.random.key(0))))
    keys, shares = jnp.repeat(jax.random.key(1)[None], 2), jnp.eye(4)[jnp.array([2, 0])]
    actual = task.inference.generate_power(variables, keys, shares)
    for power, model in zip(actual, (2, 0), strict=True):
        own = jax.tree.map(lambda x, model=model: x[model], variables)
        values = task.inference.generate(own, task.inference.draw_latents(keys[:1]), jnp.ones((1, 1)))
        np.testing.assert_allclose(power, ENSEMBLE.representation.decode(values)[0], rtol=1e-4)


def test_generated_clips_depend_on_their_own_keys_only():
    inference = GanTask(CONFIG).inference
    generator, _ = jax.jit(inference.init)(jax.random.key(0))
    keys, shares = jax.random.split(jax.random.key(1), 3), jnp.eye(4)[:3]
    whole = inference.generate_power(generator, keys, shares)
    np.testing.assert_allclose(inference.generate_power(generator, keys[1:2], shares[1:2])[0], whole[1], rtol=1e-4)
    assert whole.shape == (3, MELS, FRAMES)
    assert inference.generate_power(generator, keys, shares, 1000).shape == (3, MELS, 1000)


@pytest.mark.parametrize("config", [CONFIG, ENSEMBLE], ids=["conditional", "ensemble"])
def test_an_exported_generator_opens_again(config, tmp_path):
    task = GanTask(config)
    state = jax.device_get(jax.jit(task.init)(jax.random.key(0)))
    bundle.save(tmp_path / "b", task.name, task.parts(state, {}), {})
    inference, variables = open_generator(bundle.load(tmp_path / "b"), "b")
    assert inference.config == config
    jax.tree.map(np.testing.assert_array_equal, variables, task.generator_variables(state))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: replace(CONFIG, approach="relu"), "has networks that are not conditioned on the genre"),
        (lambda: replace(ENSEMBLE, approach="relu"), "whose scores depend on the whole batch"),
        (
            lambda: replace(ENSEMBLE, approach="relu", penalty=PenaltyConfig()),
            "does not fit representation.scale='db'",
        ),
        (
            lambda: replace(CONFIG, augment=AugmentConfig(enabled=True), representation=Representation("signed_power")),
            "needs representation.scale='db'",
        ),
        (lambda: replace(CONFIG, columns=27), "columns=27 must lie between 1 and 26"),
        (lambda: replace(CONFIG, deviations=(1.0,)), "deviations has 1 values, expected 512"),
        (lambda: replace(CONFIG, whitening=2.0), "whitening=2.0 must lie between 0 and 1"),
    ],
)
def test_settings_out_of_range_raise(change, message):
    with pytest.raises(ValueError, match=message):
        change()
