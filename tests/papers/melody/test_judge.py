"""The judge: it learns to tell genres apart, and opens again from its bundle."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.cli.errors import UserError
from specjax.engine import bundle
from specjax.engine.live.values import initial
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.melody import data
from specjax.papers.melody.judge import JudgeConfig, open_judge
from specjax.papers.melody.judge_task import JudgeTask
from specjax.papers.melody.mel_clips import Music
from specjax.papers.melody.representation import FRAMES, MELS, Representation, Statistics
from specjax.papers.melody.tracks import MusicConfig

CONFIG = JudgeConfig(
    data=MusicConfig(genres=("low", "high")),
    representation=Representation(statistics=Statistics(1.0, (-30.0,) * MELS, (10.0,) * MELS)),
    widths=(8, 8),
    dropout=0.0,
    mixup=0.0,
    optimizer=OptimizerConfig(learning_rate=ScheduleSpec(value=1e-2)),
)


@pytest.fixture(scope="module")
def music():
    """Clips of two genres, of which one has its energy in the lower bands, the other in the upper ones."""
    mel = np.random.default_rng(0).uniform(0.5, 1, (2, 3, MELS, FRAMES)).astype(np.float32)
    mel[0, :, MELS // 2 :] *= 1e-4
    mel[1, :, : MELS // 2] *= 1e-4
    return Music(mel, np.array([3, 2], np.int32), np.arange(6, dtype=np.int32).reshape(2, 3))


def test_clips_are_numbered_genre_by_genre(music):
    genre, clip = data.locate(music, jnp.arange(5))
    np.testing.assert_array_equal(genre, [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(clip, [0, 1, 2, 0, 1])


@pytest.mark.long  # commands/test_melody.py trains a judge
def test_the_judge_learns_genres_that_differ(music):
    task = JudgeTask(CONFIG)
    state, live, step = jax.jit(task.init)(jax.random.key(0)), initial(task.live_values(30)), jax.jit(task.step)
    make_batch = jax.jit(task.batch)
    for i in range(30):
        batch = make_batch(music, jnp.array([0, 1, 3, 4]), jax.random.key(i))
        state, _ = step(state, batch, {}, live, jax.random.key(i))
    measures = task.evaluate(state, music, jnp.arange(5), {}, jax.random.key(0))
    np.testing.assert_array_equal(measures["guess"], measures["genre"])


def test_a_share_of_each_batch_is_noise_of_a_class_of_its_own(music):
    task = JudgeTask(replace(CONFIG, noise=0.5))
    batch = jax.jit(task.batch)(music, jnp.array([0, 1, 3, 4]), jax.random.key(0))
    np.testing.assert_array_equal(np.argmax(batch.genre, axis=1), [0, 0, 2, 2])
    levels = np.asarray(batch.values).reshape(4, 2, -1).mean(axis=2)  # of the lower and the upper bands
    assert np.all(levels[2:, 1] > levels[2:, 0])  # noise has the spectrum of the genre whose place it takes
    state = jax.jit(task.init)(jax.random.key(0))
    measures = jax.jit(task.evaluate)(state, music, jnp.arange(5), {}, jax.random.key(0))
    figures = task.summarize({name: np.asarray(x) for name, x in measures.items()})
    assert figures["eval/noise"] == np.mean(measures["noise_recognized"])


def test_figures_of_the_held_out_clips():
    measures = {
        "genre": np.array([0, 0, 1, 1]),
        "guess": np.array([0, 0, 1, 0]),
        "cross_entropy": np.array([0.1, 0.2, 0.3, 0.4], np.float32),
    }
    assert JudgeTask(CONFIG).summarize(measures) == pytest.approx(
        {"eval/accuracy": 0.75, "eval/accuracy_worst_genre": 0.5, "eval/cross_entropy": 0.25, "eval/clips": 4}
    )


def test_an_exported_judge_opens_again(tmp_path, music):
    task = JudgeTask(CONFIG)
    state = jax.device_get(jax.jit(task.init)(jax.random.key(0)))
    bundle.save(tmp_path / "b", task.name, task.parts(state, {}), {})
    inference, variables = open_judge(bundle.load(tmp_path / "b"), "b")
    assert inference.config == CONFIG
    verdict = inference.judge(jax.tree.map(jnp.asarray, variables), jnp.asarray(music.mel[:, 0]))
    assert verdict.logits.shape == (2, 2)
    assert verdict.embedding.shape == (2, 8)


def test_the_digest_of_a_bundle_depends_on_its_tensors(tmp_path):
    task = JudgeTask(CONFIG)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        state = jax.device_get(jax.jit(task.init)(jax.random.key(seed)))
        bundle.save(tmp_path / name, task.name, task.parts(state, {}), {})
    first, same, other = (bundle.digest(tmp_path / name) for name in "abc")
    assert first == same != other
    with pytest.raises(UserError, match="holds no card.json"):
        bundle.digest(tmp_path)


def test_settings_out_of_range_raise():
    with pytest.raises(ValueError, match="must be 'db' for a judge"):
        replace(CONFIG, representation=Representation("power"))
    with pytest.raises(ValueError, match="must name at least one convolution"):
        replace(CONFIG, widths=())
