"""The transformer of music: coefficients of blocks, likelihood, generation, training, and the exported bundle."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.fft import dctn

from specjax.engine import bundle
from specjax.engine.live.values import initial
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.melody.blocks import measure_deviations, to_coefficients, to_values
from specjax.papers.melody.mel_clips import Music
from specjax.papers.melody.representation import FRAMES, MELS, Representation, Statistics
from specjax.papers.melody.tracks import MusicConfig
from specjax.papers.melody.transformer.config import ModelConfig, TransformerConfig
from specjax.papers.melody.transformer.density import draw, log_density
from specjax.papers.melody.transformer.inference import open_transformer
from specjax.papers.melody.transformer.task import TransformerTask

BLOCK = 2
CONFIG = TransformerConfig(
    data=MusicConfig(genres=("jazz", "pop")),
    representation=Representation(statistics=Statistics(1.0, (-30.0,) * MELS, (10.0,) * MELS)),
    block_frames=BLOCK,
    deviations=tuple(np.linspace(2, 0.1, BLOCK * MELS).tolist()),
    model=ModelConfig(width=8, layers=1, heads=2, window=5, components=2, mixed=6),
    optimizer=OptimizerConfig(learning_rate=ScheduleSpec(value=1e-2), ema_decay=0.9),
)
TASK = TransformerTask(CONFIG)
INFERENCE = TASK.inference
PIECE = 12 * BLOCK  # frames, more than the window has


@pytest.fixture(scope="module")
def music():
    """Three clips of each genre, of which the second has only two different ones."""
    mel = 10 ** np.random.default_rng(0).uniform(-5, -1, (2, 3, MELS, FRAMES)).astype(np.float32)
    return Music(mel, np.array([3, 2], np.int32), np.arange(6, dtype=np.int32).reshape(2, 3))


@pytest.fixture(scope="module")
def variables():
    """Random variables, by which the coefficients of a block depend on each other."""
    variables = jax.jit(INFERENCE.init)(jax.random.key(0))
    regression = 0.02 * jax.random.normal(jax.random.key(1), variables["params"]["regression"].shape)
    return {"params": variables["params"] | {"regression": regression}}


@pytest.fixture(scope="module")
def generate(variables):
    return jax.jit(
        lambda keys, genre, frames=PIECE: INFERENCE.generate(variables, keys, genre, frames), static_argnums=2
    )


KEYS, GENRE = jax.random.split(jax.random.key(2), 3), jnp.eye(2)[jnp.array([0, 1, 1])]


class TestCoefficients:
    def test_are_the_cosine_transform_of_each_block(self):
        values = np.random.default_rng(0).normal(size=(2, 6, 11)).astype(np.float32)
        coefficients = to_coefficients(jnp.asarray(values), 4)
        assert coefficients.shape == (2, 2, 24)
        expected = dctn(values[1, :, 4:8], norm="ortho").ravel()
        np.testing.assert_allclose(coefficients[1, 1], expected, atol=1e-5)
        np.testing.assert_allclose(to_values(coefficients, 4), values[..., :8], atol=1e-5)

    def test_deviations_are_measured_on_the_clips_that_differ(self, music):
        values = CONFIG.representation.encode(jnp.asarray(music.mel).reshape(6, MELS, FRAMES)[:5])
        expected = np.sqrt(np.mean(np.asarray(to_coefficients(values, BLOCK)) ** 2, axis=(0, 1)))
        measured = measure_deviations(music, CONFIG.representation, BLOCK)
        np.testing.assert_allclose(measured, expected, rtol=1e-4)


def test_likelihood_is_the_product_of_the_densities_of_the_blocks(variables):
    """The blocks are quotients of coefficients and deviations, and the density is that of the coefficients."""
    blocks, genre = jax.random.normal(jax.random.key(3), (2, 7, CONFIG.coefficients)), GENRE[:2]
    previous = jnp.concatenate([jnp.zeros_like(blocks[:, :1]), blocks[:, :-1]], axis=1)
    density, _ = INFERENCE.network.apply(variables, previous, genre, jnp.arange(7))
    per_clip = jnp.sum(log_density(density, blocks), axis=1) - 7 * np.sum(np.log(CONFIG.deviations))
    np.testing.assert_allclose(
        INFERENCE.log_likelihood(variables, blocks, genre), per_clip / (7 * BLOCK * MELS), rtol=1e-4
    )


def test_predictions_do_not_depend_on_later_frames(variables):
    blocks = jax.random.normal(jax.random.key(3), (1, 9, CONFIG.coefficients))
    predict = jax.jit(lambda blocks: INFERENCE.network.apply(variables, blocks, GENRE[:1], jnp.arange(9))[0])
    before, after = predict(blocks), predict(blocks.at[:, 5].add(1.0))
    for a, b in zip(before[:-1], after[:-1], strict=True):
        np.testing.assert_array_equal(a[:, :5], b[:, :5])
        assert np.abs(a[:, 5:] - b[:, 5:]).max() > 1e-4


class TestGeneration:
    def test_draws_from_the_densities_that_the_whole_piece_predicts(self, variables, generate):
        """The blocks drawn with memories are those drawn from predictions without memories."""
        blocks = INFERENCE.encode(generate(KEYS, GENRE))
        count = blocks.shape[1]
        previous = jnp.concatenate([jnp.zeros_like(blocks[:, :1]), blocks[:, :-1]], axis=1)
        density, _ = INFERENCE.network.apply(variables, previous, GENRE, jnp.arange(count))
        keys = jax.vmap(lambda key: jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(count)))(KEYS)
        np.testing.assert_allclose(draw(keys, density), blocks, atol=1e-3)

    def test_a_shorter_piece_is_the_beginning_of_a_longer_one(self, generate):
        np.testing.assert_array_equal(generate(KEYS, GENRE, PIECE - 6), generate(KEYS, GENRE)[..., : PIECE - 6])

    def test_depends_on_its_own_key_and_genre_only(self, generate):
        pieces = generate(KEYS, GENRE)
        np.testing.assert_array_equal(generate(KEYS, GENRE), pieces)
        same = generate(jnp.repeat(KEYS[1:2], 3), GENRE)
        np.testing.assert_array_equal(same[1], pieces[1])
        assert np.abs(same[0] - same[1]).max() > 1e-2  # another genre
        assert np.abs(pieces[1] - pieces[2]).max() > 1e-2  # another key


def test_a_batch_has_the_clips_and_the_genres_of_its_indices(music):
    batch = TASK.batch(music, jnp.array([0, 4]), jax.random.key(0))
    np.testing.assert_array_equal(batch.genre, [[1, 0], [0, 1]])
    values = INFERENCE.decode(batch.blocks)
    clip = CONFIG.representation.encode(jnp.asarray(music.mel[1, 1]))
    errors = [float(jnp.abs(values[1] - clip[:, i : i + values.shape[2]]).max()) for i in range(FRAMES % BLOCK + 1)]
    assert min(errors) < 1e-4


@pytest.mark.long  # compiles a training step
def test_training_raises_the_likelihood(music):
    state, live, step = jax.jit(TASK.init)(jax.random.key(0)), initial(TASK.live_values(8)), jax.jit(TASK.step)
    batch = jax.jit(TASK.batch)(music, jnp.array([0, 1, 3]), jax.random.key(1))
    losses = []
    for i in range(8):
        state, metrics = step(state, batch, {}, live, jax.random.key(i))
        losses.append(float(metrics["loss"]))
    assert losses[-1] < losses[0] - 0.05


def test_evaluation_measures_every_genre_and_marks_repeated_clips(music):
    state = jax.jit(TASK.init)(jax.random.key(0))
    measures = jax.jit(TASK.evaluate)(state, music, jnp.array([0, 2]), {}, jax.random.key(0))
    assert all(values.shape[:2] == (2, 2) for values in measures.values())
    figures = TASK.summarize({name: np.asarray(values) for name, values in measures.items()})
    assert figures["eval/clips"] == 3
    assert figures["eval/loss"] == pytest.approx(float(np.mean(measures["loss"][measures["valid"]])))


def test_an_exported_transformer_opens_again(tmp_path):
    state = jax.device_get(jax.jit(TASK.init)(jax.random.key(0)))
    bundle.save(tmp_path / "b", TASK.name, TASK.parts(state, {}), {})
    inference, opened = open_transformer(bundle.load(tmp_path / "b"), "b")
    assert inference.config == CONFIG
    jax.tree.map(np.testing.assert_array_equal, opened, {"params": state.ema_params})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: replace(CONFIG, block_frames=0), "block_frames=0 must lie between 1 and 431"),
        (lambda: replace(CONFIG, deviations=(1.0,)), "deviations has 1 values, expected one for each of 256"),
        (lambda: replace(CONFIG, representation=Representation("power")), "must be 'db' for a transformer"),
        (lambda: replace(CONFIG, model=ModelConfig(mixed=257)), "model.mixed=257 must be at most 256"),
        (lambda: ModelConfig(width=12, heads=4), "model.width=12 must be a multiple of twice model.heads=4"),
        (lambda: ModelConfig(layers=0), "must be at least 1"),
    ],
)
def test_settings_out_of_range_raise(change, message):
    with pytest.raises(ValueError, match=message):
        change()
