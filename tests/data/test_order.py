"""The order of examples is a bijection in every epoch, and differs between epochs and seeds."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from conftest import modes
from specjax.data import order


@partial(jax.jit, static_argnums=1)
def full_permutation(key, n):
    return jax.vmap(lambda p: order.permute(key, p, n))(jnp.arange(n, dtype=jnp.uint32))


@partial(jax.jit, static_argnums=(2, 3))
def batches_of(key, steps, batch_size, examples):
    return jax.vmap(lambda step: order.batch_indices(key, step, batch_size, examples))(steps)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 10, 31, 32, 33, 1000])
def test_permute_is_a_bijection(n):
    for seed in range(3):
        np.testing.assert_array_equal(np.sort(full_permutation(jax.random.key(seed), n)), np.arange(n))


@pytest.mark.parametrize("mode", ["plain", "jit", "vmap"])
def test_permute_is_the_same_in_every_mode(mode, key):
    function = modes(lambda k, p: order.permute(k, p, 33))[mode]
    result = [int(function(key, jnp.uint32(p))) for p in range(4)]
    np.testing.assert_array_equal(result, full_permutation(key, 33)[:4])


@pytest.mark.parametrize("mode", ["plain", "jit", "vmap"])
def test_batch_indices_are_the_same_in_every_mode(mode, key):
    result = modes(lambda k, s: order.batch_indices(k, s, 4, 10))[mode](key, jnp.int32(3))
    np.testing.assert_array_equal(result, batches_of(key, jnp.arange(4), 4, 10)[3])
    assert result.dtype == jnp.int32


@pytest.mark.parametrize(("batch_size", "examples"), [(4, 10), (7, 3), (24, 100)])
def test_each_epoch_visits_every_example_once_even_if_batches_span_epochs(batch_size, examples, key):
    epochs = batch_size  # With this many epochs the last batch ends exactly at the end of an epoch.
    flat = np.asarray(batches_of(key, jnp.arange(examples), batch_size, examples)).reshape(epochs, examples)
    np.testing.assert_array_equal(np.sort(flat, axis=1), np.tile(np.arange(examples), (epochs, 1)))


def test_epoch_follows_the_permutation_of_its_own_key(key):
    flat = np.asarray(batches_of(key, jnp.arange(10), 4, 20)).ravel()
    for epoch in range(2):
        expected = full_permutation(jax.random.fold_in(key, epoch), 20)
        np.testing.assert_array_equal(flat[20 * epoch : 20 * (epoch + 1)], expected)


def test_epochs_and_seeds_differ():
    orders = [
        np.asarray(batches_of(order.stream(seed, name), jnp.arange(20), 10, 100)).reshape(2, 100)
        for seed, name in ((0, "order"), (1, "order"), (0, "noise"))
    ]
    rows = np.concatenate(orders)
    assert len({tuple(row) for row in rows}) == 6
    # Two random orders of 100 examples agree at about one position.
    agreements = [np.sum(a == b) for i, a in enumerate(rows) for b in rows[:i]]
    assert max(agreements) <= 8


def test_stream_is_deterministic():
    first, again = order.stream(3, "noise"), order.stream(3, "noise")
    np.testing.assert_array_equal(jax.random.key_data(first), jax.random.key_data(again))


def test_last_step_before_overflow_stays_in_range(key):
    """Positions fit into 32 bits up to 2^32 - 1."""
    last = (2**32 - 24) // 24
    indices = np.asarray(order.batch_indices(key, jnp.int32(last), 24, 60_000))
    assert indices.min() >= 0
    assert indices.max() < 60_000
    assert len(set(indices.tolist())) == 24


def test_every_example_is_about_equally_likely_at_a_position():
    keys = jax.random.split(jax.random.key(7), 4000)
    results = np.asarray(jax.jit(jax.vmap(lambda k: order.permute(k, jnp.uint32(3), 10)))(keys))
    counts = np.bincount(results, minlength=10)
    # Chi-square of nine degrees of freedom exceeds 40 once in 130,000 draws.
    assert np.sum((counts - 400) ** 2 / 400) < 40


def test_every_pair_of_adjacent_examples_is_about_equally_likely():
    """This holds for twenty examples and more; a Feistel network of three bits has too few distinct round functions."""
    positions = jnp.arange(2, dtype=jnp.uint32)
    keys = jax.random.split(jax.random.key(8), 8000)
    pairs = np.asarray(jax.jit(jax.vmap(lambda k: jax.vmap(lambda p: order.permute(k, p, 20))(positions)))(keys))
    counts = np.bincount(pairs[:, 0] * 20 + pairs[:, 1], minlength=400).reshape(20, 20)
    np.testing.assert_array_equal(np.diag(counts), 0)
    expected = 8000 / 380
    chi_square = np.sum((counts[~np.eye(20, dtype=bool)] - expected) ** 2 / expected)
    assert chi_square < 379 + 5 * np.sqrt(2 * 379)  # The limit is five standard deviations above the mean.


def test_long_permutation_is_uncorrelated_with_the_original_order(key):
    positions = np.arange(1000)
    assert abs(np.corrcoef(positions, full_permutation(key, 1000))[0, 1]) < 0.15
