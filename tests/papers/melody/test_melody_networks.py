"""Generator and discriminator of blocks of mel spectrograms: shapes, time, genres, independence of the examples."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.melody.model import (
    COEFFICIENTS,
    COLUMN_BLOCKS,
    Discriminator,
    Generator,
    Latents,
    ModelConfig,
    draw_latents,
)

GENRES, COLUMNS = 3, 13
CONFIG = ModelConfig(6, 5, column_depth=1, block_depth=1, whole_latents=5, local_latents=4)
GENRE = jnp.eye(GENRES)[jnp.array([0, 2])]


def draw(columns=COLUMNS, config=CONFIG):
    return draw_latents(jax.random.split(jax.random.key(0), 2), config.whole_latents, config.local_latents, columns)


def init(network, *args):
    """Random parameters, with branches that are not zero."""
    variables = jax.jit(network.init)(jax.random.key(1), *args)
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    noisy = [x + 0.2 * jax.random.normal(key, x.shape) for key, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(tree, noisy)


@pytest.fixture(scope="module")
def generator():
    network = Generator(CONFIG)
    return jax.jit(network.apply), init(network, draw(), GENRE)


@pytest.fixture(scope="module")
def discriminator():
    network = Discriminator(CONFIG)
    blocks = jax.random.normal(jax.random.key(3), (2, 3 * COLUMN_BLOCKS, COEFFICIENTS))
    return jax.jit(network.apply), init(network, blocks, GENRE), blocks


class TestTime:
    def test_loops_continue_without_a_seam(self, generator):
        """A shift of the local latents by one column shifts the piece by its blocks, around its ends."""
        _, variables = generator
        apply = jax.jit(Generator(CONFIG, padding="circular").apply)
        latents = draw()
        shifted = Latents(latents.whole, jnp.roll(latents.local, 1, axis=1))
        piece = apply(variables, latents, GENRE)
        np.testing.assert_allclose(apply(variables, shifted, GENRE), jnp.roll(piece, COLUMN_BLOCKS, axis=1), atol=1e-4)

    def test_longer_pieces_have_the_same_middle(self, generator):
        apply, variables = generator
        latents = draw(3 * COLUMNS)
        part = Latents(latents.whole, latents.local[:, COLUMNS : 2 * COLUMNS])
        blocks = COLUMN_BLOCKS * COLUMNS
        middle = slice(3 * COLUMN_BLOCKS, -3 * COLUMN_BLOCKS)  # convolutions reach 2 columns and 3 blocks far
        long = apply(variables, latents, GENRE)[:, blocks : 2 * blocks]
        short = apply(variables, part, GENRE)
        assert short.shape == (2, blocks, COEFFICIENTS)
        np.testing.assert_allclose(long[:, middle], short[:, middle], atol=1e-4)
        assert float(jnp.abs(long - short).max()) > 1e-3


def test_pieces_depend_on_all_inputs(generator):
    apply, variables = generator
    latents, genre = draw(3), GENRE
    piece = apply(variables, latents, genre)
    for changed in (
        (latents._replace(whole=latents.whole + 1), genre),
        (latents._replace(local=latents.local + 1), genre),
        (latents, jnp.roll(genre, 1, axis=1)),
    ):
        assert float(jnp.abs(apply(variables, *changed) - piece).max()) > 1e-3


def test_blocks_of_a_column_differ_at_the_start():
    """Each sees its own part of the column's latent vector."""
    piece = jax.jit(Generator(CONFIG).init_with_output)(jax.random.key(0), draw(), GENRE)[0]
    blocks = piece.reshape(2, COLUMNS, COLUMN_BLOCKS, COEFFICIENTS)
    assert float(jnp.std(blocks, axis=2).min()) > 0


def test_score_of_mixed_genres_is_the_mixture_of_the_scores(discriminator):
    """The genre enters by a projection, which is linear."""
    apply, variables, blocks = discriminator
    scores = [apply(variables, blocks, jnp.tile(jnp.eye(GENRES)[g], (2, 1))) for g in (0, 1)]
    mixed = apply(variables, blocks, jnp.tile(jnp.array([0.25, 0.75, 0.0]), (2, 1)))
    np.testing.assert_allclose(mixed, 0.25 * scores[0] + 0.75 * scores[1], atol=1e-4)
    assert float(jnp.abs(scores[0] - scores[1]).max()) > 1e-3


def test_score_does_not_depend_on_the_other_examples(discriminator):
    """Gradient penalties rely on it."""
    apply, variables, blocks = discriminator
    other = apply(variables, blocks.at[1].multiply(-0.5), GENRE)
    np.testing.assert_allclose(other[0], apply(variables, blocks, GENRE)[0], atol=1e-5)


def test_score_depends_on_the_spread_over_time(discriminator):
    """Columns that alternate do not score as their mean does."""
    apply, variables, blocks = discriminator
    column = blocks[:, :COLUMN_BLOCKS]
    steady = jnp.tile(column, (1, 4, 1))
    changing = jnp.concatenate([2 * column, 0 * column, 2 * column, 0 * column], axis=1)
    assert float(jnp.abs(apply(variables, steady, GENRE) - apply(variables, changing, GENRE)).min()) > 1e-3


def test_networks_have_no_state_and_can_be_mapped(discriminator):
    apply, variables, blocks = discriminator
    assert set(variables) == {"params"}
    stacked = jax.tree.map(lambda x: jnp.stack([x, 0.5 * x]), variables)
    mapped = jax.vmap(apply, (0, None, None))(stacked, blocks, GENRE)
    np.testing.assert_allclose(mapped[0], apply(variables, blocks, GENRE), atol=1e-4)


def test_depth_does_not_change_the_values_at_the_start():
    """Residual branches are zero at first, at any depth, and the variance of the values is about 1."""
    config = replace(CONFIG, width=64)
    outputs = [
        Generator(replace(config, block_depth=depth)).init_with_output(jax.random.key(0), draw(), GENRE)[0]
        for depth in (0, 3)
    ]
    np.testing.assert_allclose(*outputs, atol=1e-5)
    assert 0.7 < float(jnp.std(outputs[0])) < 1.4


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
        ({"width": 0}, "must be at least 1"),
        ({"block_depth": -1}, "must not be negative"),
        ({"local_latents": 6}, "local_latents=6 must be a multiple of 4"),
    ],
)
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)
