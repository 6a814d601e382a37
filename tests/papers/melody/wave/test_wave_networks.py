"""Networks of waves: strides, shapes, reach along time, genres, and phase shuffle."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.nn.residual import SameConv, depth_to_space, space_to_depth
from specjax.nn.strided_conv import Window, strided_conv, transposed_conv
from specjax.papers.melody.model import draw_latents
from specjax.papers.melody.representation import CLIP_SAMPLES
from specjax.papers.melody.wave.model import WaveDiscriminator, WaveGenerator, WaveModelConfig

CONFIG = WaveModelConfig(widths=(4, 5, 6), trunk_blocks=1, whole_latents=5, local_latents=3)
GENRE = jnp.eye(3)[jnp.array([0, 2])]


def draw(columns, config=CONFIG):
    return draw_latents(jax.random.split(jax.random.key(0), 2), config.whole_latents, config.local_latents, columns)


def randomize(network, *args):
    """Random parameters, in branches that are zero at the start as well. No program is compiled to draw them."""
    rng = np.random.default_rng(0)

    def draw_leaf(leaf):
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 25
        return jnp.asarray(rng.normal(size=leaf.shape) / np.sqrt(fan_in), jnp.float32)

    return jax.tree.map(draw_leaf, jax.eval_shape(network.init, jax.random.key(1), *args))


@pytest.fixture(scope="module")
def generator():
    network = WaveGenerator(CONFIG)
    return jax.jit(network.apply), randomize(network, draw(3), GENRE)


@pytest.fixture(scope="module")
def discriminator():
    network = WaveDiscriminator(CONFIG)
    wave = 0.2 * jax.random.normal(jax.random.key(3), (2, 6 * CONFIG.column_samples))
    return jax.jit(network.apply), randomize(network, wave, GENRE), wave


def test_default_shapes_are_those_of_the_clips():
    """54 columns of 4096 samples hold ten seconds."""
    config = WaveModelConfig()
    columns = -(-CLIP_SAMPLES // config.column_samples)
    assert (config.column_samples, columns) == (4096, 54)
    shapes = jax.eval_shape(
        WaveGenerator(config).init_with_output, jax.random.key(0), draw(columns, config), jnp.zeros((2, 10))
    )
    assert shapes[0].shape == (2, 54 * 4096)
    scores, _ = jax.eval_shape(WaveDiscriminator(config).init_with_output, jax.random.key(0), *shapes[:1], GENRE)
    assert scores.shape == (2,)


def test_convolutions_of_blocks_are_convolutions_with_a_stride():
    layer, window = SameConv(8, (1, 3)), Window((1, 4), (0, 4))
    x = jax.random.normal(jax.random.key(0), (2, 1, 20, 3))
    y, variables = layer.init_with_output(jax.random.key(1), space_to_depth(x, (1, 4)))
    kernel = variables["params"]["kernel"].reshape(1, 12, 3, 8)
    np.testing.assert_allclose(y, strided_conv(x, kernel, window, "native"), atol=1e-5)
    x, variables = depth_to_space(y, (1, 4)), layer.init(jax.random.key(2), y)
    kernel = variables["params"]["kernel"].reshape(1, 3, 8, 4, 2)[:, ::-1].swapaxes(2, 3).reshape(1, 12, 8, 2)
    expected = transposed_conv(y, kernel, window, "native")
    np.testing.assert_allclose(depth_to_space(layer.apply(variables, y), (1, 4)), expected, atol=1e-5)


def test_waves_lie_between_minus_one_and_one_and_depend_on_all_inputs(generator):
    apply, variables = generator
    latents = draw(3)
    wave = apply(variables, latents, GENRE)
    assert wave.shape == (2, 3 * CONFIG.column_samples)
    assert float(jnp.abs(wave).max()) <= 1
    for changed in (
        (latents._replace(whole=latents.whole + 1), GENRE),
        (latents._replace(local=latents.local + 1), GENRE),
        (latents, jnp.roll(GENRE, 1, axis=1)),
    ):
        assert float(jnp.abs(apply(variables, *changed) - wave).max()) > 1e-4


def test_waves_begin_as_loud_as_music():
    latents = draw(12)
    wave, _ = jax.jit(WaveGenerator(CONFIG).init_with_output)(jax.random.key(0), latents, GENRE)
    assert 0.05 < float(jnp.std(wave)) < 0.4


def test_local_latents_reach_as_many_columns_as_stated(generator):
    apply, variables = generator
    latents, reach = draw(12), CONFIG.reach_columns
    changed = latents._replace(local=latents.local.at[:, 6].add(1.0))
    difference = jnp.abs(apply(variables, changed, GENRE) - apply(variables, latents, GENRE))
    heard = np.flatnonzero(difference.reshape(2, 12, -1).max(axis=(0, 2)) > 1e-7)
    assert 6 - reach <= heard.min() < 6 < heard.max() <= 6 + reach


def test_score_does_not_depend_on_the_other_examples_or_on_a_rest_of_samples(discriminator):
    apply, variables, wave = discriminator
    scores = apply(variables, wave, GENRE)
    other = apply(variables, wave.at[1].multiply(-0.5), GENRE)
    np.testing.assert_allclose(other[0], scores[0], atol=1e-6)
    longer = jnp.concatenate([wave, jnp.ones((2, CONFIG.column_samples - 1))], axis=1)
    np.testing.assert_allclose(apply(variables, longer, GENRE), scores, atol=1e-6)


def test_score_of_mixed_genres_is_the_mixture_of_the_scores(discriminator):
    apply, variables, wave = discriminator
    scores = [apply(variables, wave, jnp.tile(jnp.eye(3)[g], (2, 1))) for g in (0, 1)]
    mixed = apply(variables, wave, jnp.tile(jnp.array([0.25, 0.75, 0.0]), (2, 1)))
    np.testing.assert_allclose(mixed, 0.25 * scores[0] + 0.75 * scores[1], atol=1e-5)
    assert float(jnp.abs(scores[0] - scores[1]).max()) > 1e-3


def test_phases_are_shuffled_only_with_a_key(discriminator):
    apply, variables, wave = discriminator
    scores = [apply(variables, wave, GENRE, jax.random.key(i)) for i in (0, 0, 1)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert float(jnp.abs(scores[0] - scores[2]).max()) > 1e-5
    still = WaveDiscriminator(replace(CONFIG, max_shift=0)).apply(variables, wave, GENRE, jax.random.key(0))
    np.testing.assert_allclose(still, apply(variables, wave, GENRE), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": ()}, "must name the width"),
        ({"widths": (4, 0)}, "must be at least 1"),
        ({"kernel": 4}, "model.kernel=4 must be odd"),
        ({"max_shift": -1}, "must not be negative"),
    ],
)
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)
