"""Generator and discriminator of mel spectrograms: shapes, time, genres, and independence of the examples."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.melody.model import Discriminator, Generator, Latents, ModelConfig, draw_latents

GENRES, COLUMNS = 3, 13
IMAGE = ModelConfig(bands=16, widths=(4, 6), trunk_width=8, trunk_blocks=1, whole_latents=5, local_latents=3)
CHANNELS = replace(IMAGE, layout="channels")
LAYOUTS = {"image": IMAGE, "channels": CHANNELS}
GENRE = jnp.eye(GENRES)[jnp.array([0, 2])]


def draw(columns=COLUMNS, config=IMAGE):
    return draw_latents(jax.random.split(jax.random.key(0), 2), config.whole_latents, config.local_latents, columns)


def init(network, *args):
    """Random parameters, with branches that are not zero."""
    variables = jax.jit(network.init)(jax.random.key(1), *args)
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    noisy = [x + 0.2 * jax.random.normal(key, x.shape) for key, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(tree, noisy)


@pytest.fixture(scope="module", params=LAYOUTS)
def config(request):
    return LAYOUTS[request.param]


@pytest.fixture(scope="module")
def generator(config):
    network = Generator(config)
    return network, init(network, draw(), GENRE)


@pytest.fixture(scope="module")
def discriminator(config):
    network = Discriminator(config)
    values = jnp.tanh(jax.random.normal(jax.random.key(3), (2, config.bands, 29)))
    variables = init(network, values, GENRE)
    return jax.jit(network.apply), variables, values


def test_default_shapes_are_those_of_the_clips():
    """27 columns hold the 431 frames of ten seconds."""
    for layout, widths in (("image", (32, 64, 128)), ("channels", (256, 384, 512))):
        config = ModelConfig(layout=layout, widths=widths)
        genre = jnp.zeros((2, 10))
        values, _ = jax.eval_shape(
            lambda c=config, g=genre: Generator(c).init_with_output(jax.random.key(0), draw(27, c), g)
        )
        assert values.shape == (2, 128, 432)
        clip = jnp.zeros((2, 128, 431))
        scores, _ = jax.eval_shape(
            lambda c=config, x=clip, g=genre: Discriminator(c).init_with_output(jax.random.key(0), x, g)
        )
        assert scores.shape == (2,)


def test_layout_decides_what_is_a_channel():
    variables = jax.eval_shape(Discriminator(IMAGE).init, jax.random.key(0), jnp.zeros((1, 16, 8)), GENRE[:1])
    assert variables["params"]["input"]["kernel"].shape == (3, 3, 4 * 4, 4)
    variables = jax.eval_shape(Discriminator(CHANNELS).init, jax.random.key(0), jnp.zeros((1, 16, 8)), GENRE[:1])
    assert variables["params"]["input"]["kernel"].shape == (1, 3, 16 * 4, 4)


class TestTime:
    def test_loops_continue_without_a_seam(self, config, generator):
        """A shift of the local latents by one column shifts the piece by its frames, around its ends."""
        _, variables = generator
        apply = jax.jit(Generator(config, padding="circular").apply)
        latents = draw()
        shifted = Latents(latents.whole, jnp.roll(latents.local, 1, axis=1))
        piece = apply(variables, latents, GENRE)
        np.testing.assert_allclose(
            apply(variables, shifted, GENRE), jnp.roll(piece, config.column_frames, axis=2), atol=1e-5
        )

    def test_longer_pieces_have_the_same_middle(self, config, generator):
        network, variables = generator
        latents = draw(3 * COLUMNS)
        part = Latents(latents.whole, latents.local[:, COLUMNS : 2 * COLUMNS])
        frames = config.column_frames * COLUMNS
        middle = slice(6 * config.column_frames, -6 * config.column_frames)  # convolutions reach 5.5 columns far
        long = network.apply(variables, latents, GENRE)[:, :, frames : 2 * frames]
        short = network.apply(variables, part, GENRE)
        assert short.shape == (2, config.bands, frames)
        np.testing.assert_allclose(long[:, :, middle], short[:, :, middle], atol=1e-5)
        assert float(jnp.abs(long - short).max()) > 1e-3

    def test_last_frame_is_repeated_to_fill_a_column(self, config, discriminator):
        apply, variables, values = discriminator
        filled = jnp.concatenate([values, jnp.repeat(values[:, :, -1:], 3, axis=2)], axis=2)
        assert filled.shape[2] % config.column_frames == 0
        np.testing.assert_allclose(apply(variables, values, GENRE), apply(variables, filled, GENRE), atol=1e-5)


def test_values_lie_between_minus_one_and_one_and_depend_on_all_inputs(generator):
    network, variables = generator
    latents, genre = draw(3), GENRE
    piece = network.apply(variables, latents, genre)
    assert float(jnp.abs(piece).max()) <= 1
    for changed in (
        (latents._replace(whole=latents.whole + 1), genre),
        (latents._replace(local=latents.local + 1), genre),
        (latents, jnp.roll(genre, 1, axis=1)),
    ):
        assert float(jnp.abs(network.apply(variables, *changed) - piece).max()) > 1e-3


def test_score_of_mixed_genres_is_the_mixture_of_the_scores(discriminator):
    """The genre enters by a projection, which is linear."""
    apply, variables, values = discriminator
    scores = [apply(variables, values, jnp.tile(jnp.eye(GENRES)[g], (2, 1))) for g in (0, 1)]
    mixed = apply(variables, values, jnp.tile(jnp.array([0.25, 0.75, 0.0]), (2, 1)))
    np.testing.assert_allclose(mixed, 0.25 * scores[0] + 0.75 * scores[1], atol=1e-5)
    assert float(jnp.abs(scores[0] - scores[1]).max()) > 1e-3


def test_score_does_not_depend_on_the_other_examples(discriminator):
    """Gradient penalties rely on it."""
    apply, variables, values = discriminator
    other = apply(variables, values.at[1].multiply(-0.5), GENRE)
    np.testing.assert_allclose(other[0], apply(variables, values, GENRE)[0], atol=1e-6)


def test_networks_have_no_state_and_can_be_mapped(config, discriminator):
    apply, variables, values = discriminator
    assert set(variables) == {"params"}
    stacked = jax.tree.map(lambda x: jnp.stack([x, 0.5 * x]), variables)
    mapped = jax.vmap(apply, (0, None, None))(stacked, values, GENRE)
    np.testing.assert_allclose(mapped[0], apply(variables, values, GENRE), atol=1e-5)


def test_depth_does_not_change_the_values_at_the_start():
    """Residual branches are zero at first, at any depth."""
    outputs = [
        Generator(replace(IMAGE, blocks=blocks)).init_with_output(jax.random.key(0), draw(2), GENRE)[0]
        for blocks in (0, 3)
    ]
    np.testing.assert_allclose(*outputs, atol=1e-6)
    assert 0.1 < float(jnp.std(outputs[0])) < 0.6


def test_latents_are_normal_and_depend_on_their_own_key_only():
    keys = jax.random.split(jax.random.key(5), 200)
    latents = draw_latents(keys, 128, 32, 27)
    assert latents.whole.shape == (200, 128)
    assert latents.local.shape == (200, 27, 32)
    for x in latents:
        assert float(jnp.mean(x)) == pytest.approx(0, abs=0.03)
        assert float(jnp.std(x)) == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(draw_latents(keys[3:4], 128, 32, 27).local[0], latents.local[3])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": ()}, "must name the width"),
        ({"widths": (4, 0)}, "must be at least 1"),
        ({"blocks": -1}, "must not be negative"),
        ({"bands": 20}, "model.bands=20 must be a multiple of 8 for 2 widths"),
    ],
)
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        replace(IMAGE, **change)
