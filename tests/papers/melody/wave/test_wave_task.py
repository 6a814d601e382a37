"""The task of waves: windows, separate updates, evaluation, loops, and the exported bundle."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.cli.errors import UserError
from specjax.engine import bundle
from specjax.engine.live.values import initial
from specjax.nn.adversarial import PenaltyConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.melody.representation import (
    CLIP_SAMPLES,
    FRAMES,
    MELS,
    TRANSFORM,
    Representation,
    Statistics,
    mel_power,
)
from specjax.papers.melody.tracks import MusicConfig
from specjax.papers.melody.wave.config import WaveConfig
from specjax.papers.melody.wave.inference import open_wave_generator
from specjax.papers.melody.wave.model import WaveModelConfig
from specjax.papers.melody.wave.task import WaveTask
from specjax.papers.melody.wave_clips import FULL_SCALE, Waves, decode_samples

OPTIMIZER = OptimizerConfig(learning_rate=ScheduleSpec(value=1e-3), b1=0.0, epsilon=1e-3)
CONFIG = WaveConfig(
    data=MusicConfig(genres=("jazz", "pop")),
    representation=Representation(statistics=Statistics(1.0, (-30.0,) * MELS, (10.0,) * MELS)),
    model=WaveModelConfig(widths=(4, 4), trunk_blocks=0, whole_latents=3, local_latents=2),
    window=4096,
    penalty=PenaltyConfig("difference", ScheduleSpec(value=0.1)),
    generator=replace(OPTIMIZER, ema_decay=0.9),
    discriminator=OPTIMIZER,
)
KEYS = jax.random.split(jax.random.key(7), 2)
SHARES = jnp.eye(2)


@pytest.fixture(scope="module")
def waves():
    """Three clips of each genre, of which the second has only two different ones. Their samples are all different."""
    rng = np.random.default_rng(0)
    samples = np.cumsum(rng.integers(1, 3, (2, 3, CLIP_SAMPLES)), axis=2) % 20_000 - 10_000
    return Waves(samples.astype(np.int16), np.array([3, 2], np.int32), np.arange(6, dtype=np.int32).reshape(2, 3))


@pytest.fixture(scope="module")
def task():
    return WaveTask(CONFIG)


@pytest.fixture(scope="module")
def state(task):
    return jax.jit(task.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def train(task, state, waves):
    """Function that updates one network a number of times, with a learning rate of 0 for the other and no penalty."""
    step = jax.jit(task.step)
    batch = task.batch(waves, jnp.array([0, 2, 4]), jax.random.key(1))

    def run(trained, steps):
        still = {f"{name}.lr": jnp.zeros(()) for name in ("generator", "discriminator") if name != trained}
        live = initial(task.live_values(10)) | still | {"penalty": jnp.zeros(())}
        end, losses = state, []
        for _ in range(steps):
            end, metrics = step(end, batch, {}, live, jax.random.key(2))
            losses.append(float(metrics[f"{trained}.loss"]))
        return end, losses

    return run


def test_a_batch_has_windows_of_the_clips_and_their_genres(task, waves):
    batch = task.batch(waves, jnp.array([0, 2, 4, 4]), jax.random.key(0))
    assert batch.values.shape == (4, CONFIG.window)
    np.testing.assert_array_equal(jnp.argmax(batch.condition, axis=1), [0, 0, 1, 1])
    samples = np.round(np.asarray(batch.values) * FULL_SCALE).astype(np.int16)
    starts = []
    for window, clip in zip(samples, ((0, 0), (0, 2), (1, 1), (1, 1)), strict=True):
        views = np.lib.stride_tricks.sliding_window_view(waves.wave[clip], CONFIG.window)
        (start,) = (i for i in np.flatnonzero(views[:, 0] == window[0]) if np.array_equal(views[i], window))
        starts.append(start)
    assert len(set(starts)) == 4
    again = task.batch(waves, jnp.array([0]), jax.random.key(0))
    np.testing.assert_array_equal(again.values[0], batch.values[0])


@pytest.mark.parametrize(("trained", "still"), [("generator", "discriminator"), ("discriminator", "generator")])
def test_each_network_is_trained_by_its_own_loss_only(trained, still, train, state):
    """With a learning rate of 0 a network stays as it is, whatever happens to the other, whose loss falls."""
    end, losses = train(trained, 12)
    jax.tree.map(np.testing.assert_array_equal, getattr(state, still).params, getattr(end, still).params)
    assert losses[-1] < losses[0]


def test_evaluation_measures_every_genre_and_marks_repeated_clips(task, state, waves):
    measures = jax.jit(task.evaluate)(state, waves, jnp.array([0, 2]), {}, jax.random.key(0))
    assert all(values.shape[:2] == (2, 2) for values in measures.values())
    np.testing.assert_array_equal(measures["valid"], [[True, True], [True, False]])
    power = mel_power(decode_samples(waves.wave[1, 2]))
    np.testing.assert_allclose(measures["real_level_db"][1, 1], 10 * np.log10(power.mean()), rtol=1e-4)
    figures = task.summarize({name: np.asarray(values) for name, values in measures.items()})
    assert figures["eval/clips"] == 3
    assert 0 <= figures["eval/auc"] <= 1


def test_silent_waves_raise_the_alarm(task, waves):
    real = task.batch(waves, jnp.array([0, 2, 4]), jax.random.key(1))
    compared = {name: float(value) for name, value in task.compare(1e-3 * real.values, real).items()}
    assert compared["level_db"] == pytest.approx(-60, abs=0.1)
    assert any("nearly silent" in line for line in task.alarms(compared | {"auc": 0.6}))
    healthy = {name: float(value) for name, value in task.compare(real.values, real).items()}
    assert task.alarms(healthy | {"auc": 0.6}) == ()


def test_waves_are_bounded_reproducible_and_depend_on_their_own_keys_only(task, state):
    inference, variables = task.inference, task.generator_variables(state)
    wave = inference.generate_waves(variables, KEYS, SHARES)
    assert wave.shape == (2, CLIP_SAMPLES)
    assert float(jnp.abs(wave).max()) <= 1
    np.testing.assert_array_equal(inference.generate_waves(variables, KEYS, SHARES), wave)
    np.testing.assert_allclose(inference.generate_waves(variables, KEYS[1:], SHARES[1:])[0], wave[1], atol=1e-6)
    assert float(jnp.abs(wave[0] - inference.generate_waves(variables, KEYS[1:], SHARES[:1])[0]).max()) > 1e-3
    power = inference.generate_power(variables, KEYS, SHARES)
    assert power.shape == (2, MELS, FRAMES)
    np.testing.assert_allclose(power, mel_power(wave), rtol=1e-3, atol=1e-6)
    assert inference.generate_waves(variables, KEYS, SHARES, 1000).shape == (2, 999 * TRANSFORM.hop_length)


def test_a_loop_is_one_period_of_endlessly_repeated_latents(task, state):
    inference, variables, frames = task.inference, task.generator_variables(state), 3 * task.inference.column_frames
    loop = inference.generate_waves(variables, KEYS, SHARES, frames, loop=True)
    period = frames * TRANSFORM.hop_length
    latents = inference.draw_latents(KEYS, period // CONFIG.model.column_samples)
    endless = latents._replace(local=jnp.tile(latents.local, (1, 5, 1)))
    expected = inference.generate(variables, endless, SHARES)[:, 2 * period : 3 * period]
    np.testing.assert_allclose(loop, expected, atol=1e-6)
    assert inference.generate_power(variables, KEYS, SHARES, frames, loop=True).shape == (2, MELS, frames)


def test_an_exported_generator_opens_again(task, state, tmp_path):
    parts = task.parts(jax.device_get(state), {})
    bundle.save(tmp_path / "b", task.name, parts, {})
    inference, variables = open_wave_generator(bundle.load(tmp_path / "b"), "b")
    assert inference.config == CONFIG
    jax.tree.map(np.testing.assert_array_equal, variables, task.generator_variables(state))
    bundle.save(tmp_path / "other", task.name, {"network": parts["generator"]}, {})
    with pytest.raises(UserError, match=r"has the parts \['network'\], expected \['generator'\]"):
        open_wave_generator(bundle.load(tmp_path / "other"), "other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": MusicConfig(tempo_bpm=100.0)}, "data.tempo_bpm=100.0 can bring spectrograms to one tempo"),
        ({"window": 1000}, "window=1000 must be a multiple of 64, the samples of a column, and at most 220500"),
        ({"window": 64 * 3446}, "at most 220500"),
    ],
)
def test_settings_out_of_range_raise(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)
