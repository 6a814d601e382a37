"""The causal transformer: what a position sees, and generation with memories."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.nn.causal_transformer import CausalTransformer, rotate

WIDTH, LENGTH, WINDOW = 8, 11, 4
NETWORK = CausalTransformer(layers=2, heads=2, window=WINDOW)
POSITIONS = jnp.arange(LENGTH)


@pytest.fixture(scope="module")
def apply():
    """Function that applies the network with random parameters."""
    x = jnp.zeros((2, LENGTH, WIDTH))
    variables = jax.jit(NETWORK.init)(jax.random.key(0), x, POSITIONS)
    return jax.jit(lambda x, positions=POSITIONS, memories=None: NETWORK.apply(variables, x, positions, memories))


@pytest.fixture(scope="module")
def x():
    return jax.random.normal(jax.random.key(1), (2, LENGTH, WIDTH))


def test_a_change_reaches_only_later_positions_of_its_own_sequence_within_the_windows(apply, x):
    output, _ = apply(x)
    changed, _ = apply(x.at[0, 3].add(1.0))
    difference = np.abs(changed - output).max(axis=2)
    reached = 3 + 2 * (WINDOW - 1)  # of two layers
    assert difference[0, 3 : reached + 1].min() > 1e-4
    np.testing.assert_array_equal(difference[0, :3], 0)
    np.testing.assert_array_equal(difference[0, reached + 1 :], 0)
    np.testing.assert_array_equal(difference[1], 0)


def test_one_position_at_a_time_gives_the_outputs_of_the_whole_sequence(apply, x):
    """The sequence is longer than the memory, whose slots are used again."""
    whole, _ = apply(x)
    memories = NETWORK.empty_memories(2, WIDTH)
    for i in range(LENGTH):
        output, memories = apply(x[:, i : i + 1], POSITIONS[i : i + 1], memories)
        np.testing.assert_allclose(output[:, 0], whole[:, i], atol=1e-5)


def test_only_distances_count(apply, x):
    np.testing.assert_allclose(apply(x, POSITIONS + 5000)[0], apply(x)[0], atol=1e-3)


def test_rotation_turns_pairs_of_coordinates():
    """The oracle multiplies complex numbers."""
    x = jax.random.normal(jax.random.key(2), (1, 3, 1, 6))
    positions = jnp.array([0, 1, 7])
    z = np.asarray(x[..., :3]) + 1j * np.asarray(x[..., 3:])
    speed = 64.0 ** -np.array([0, 1 / 3, 2 / 3])
    turned = z * np.exp(1j * np.asarray(positions)[None, :, None, None] * speed)
    np.testing.assert_allclose(rotate(x, positions, 64), np.concatenate([turned.real, turned.imag], axis=-1), atol=1e-5)
