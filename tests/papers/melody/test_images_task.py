"""The first approach: batches, measures, and the exported bundle. The test of the commands trains and evaluates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.engine import bundle
from specjax.papers.melody import pictures
from specjax.papers.melody.images import ImagesConfig, open_images
from specjax.papers.melody.images_task import ImagesTask
from specjax.papers.melody.pictures import Pictures
from specjax.papers.melody.tracks import MusicConfig

TASK = ImagesTask(ImagesConfig(data=MusicConfig(genres=("jazz", "pop"))))
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def examples():
    """Three pictures of each of two genres, of which the second has only two different ones."""
    pixels = RNG.integers(0, 256, (2, 3, 288, 432, 4), dtype=np.uint8)
    return Pictures(pixels, np.array([3, 2], np.int32))


def test_a_batch_has_pictures_of_every_genre(examples):
    batch = TASK.batch(examples, jnp.array([0, 2]), jax.random.key(0))
    assert batch.values.shape == (2, 2, 288, 432, 4)
    np.testing.assert_array_equal(pictures.to_pixels(batch.values[0]), examples.pixels[0, [0, 2]])
    np.testing.assert_array_equal(pictures.to_pixels(batch.values[1]), examples.pixels[1, [0, 0]])


def test_few_pictures_have_no_figures_of_neighbors():
    thumbnails = {f"{kind}_thumbnail": np.zeros((2, 2, 3)) for kind in ("real", "fake")}
    scores = {"real_score": np.ones((2, 2)), "fake_score": np.zeros((2, 2))}
    figures = TASK.summarize({"valid": np.array([[True, True], [True, False]]), **scores, **thumbnails})
    assert figures == {"eval/auc": 1.0, "eval/spread": 0.0, "eval/pictures": 3.0}


@pytest.mark.parametrize(
    ("change", "words"),
    [({"auc": 0.995}, "the discriminator has won"), ({"spread": 0.1}, "the generator has collapsed")],
)
def test_alarms(change, words):
    healthy = {"auc": 0.6, "spread": 0.9}
    assert TASK.alarms(healthy) == ()
    (line,) = TASK.alarms(healthy | change)
    assert line.startswith(words)


def test_copies_of_real_pictures_have_the_best_figures():
    real = RNG.normal(size=(6, 2, 12)).astype(np.float32)
    scores = RNG.normal(size=(6, 2))
    figures = TASK.summarize(
        {"valid": np.ones((6, 2), bool), "real_score": scores, "fake_score": scores, "real_thumbnail": real}
        | {"fake_thumbnail": real}
    )
    assert [figures[f"eval/{name}"] for name in ("auc", "precision", "recall", "coverage")] == [0.5, 1.0, 1.0, 1.0]
    assert figures["eval/spread"] == pytest.approx(1.0)
    assert figures["eval/kernel_distance"] <= 0


def test_each_genre_is_drawn_by_its_own_network():
    inference = TASK.inference
    variables = jax.jit(inference.init_generators)(jax.random.key(0))
    keys = jnp.repeat(jax.random.key(1)[None], 2)
    pixels = inference.draw(variables, keys, jnp.array([0, 1]))
    assert np.any(pixels[0] != pixels[1])
    exchanged = jax.tree.map(lambda x: x[::-1], variables)
    np.testing.assert_array_equal(inference.draw(exchanged, keys, jnp.array([1, 0])), pixels)


def test_exported_generators_open_again(tmp_path):
    shapes = jax.eval_shape(TASK.init, jax.random.key(0))
    state = jax.tree.map(lambda x: RNG.normal(size=x.shape).astype(x.dtype), shapes)
    bundle.save(tmp_path / "b", TASK.name, TASK.parts(state, {}), {})
    inference, variables = open_images(bundle.load(tmp_path / "b"), "b")
    assert inference.config == TASK.config
    jax.tree.map(np.testing.assert_array_equal, variables, TASK.generator_variables(state))


def test_thumbnails_are_means_of_blocks():
    values = RNG.normal(size=(288, 432, 4)).astype(np.float32)
    thumbnail = np.asarray(pictures.shrink(jnp.asarray(values)))
    assert thumbnail.shape == (24, 36, 4)
    for row, column in ((0, 0), (3, 35), (23, 7)):
        block = values[12 * row : 12 * row + 12, 12 * column : 12 * column + 12]
        np.testing.assert_allclose(thumbnail[row, column], block.mean((0, 1)), atol=1e-6)


def test_transparent_pixels_are_white_on_a_sheet():
    pixels = np.zeros((1, 2, 288, 432, 4), np.uint8)
    pixels[0, 1, ..., 3] = 255
    sheet = pictures.draw_sheet(pixels, ["jazz"])[22:166]
    assert np.all(sheet[:, 110:326] == 255)
    assert np.all(sheet[:, 332:548] == 0)
