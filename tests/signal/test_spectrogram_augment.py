"""Augmentation of spectrograms: shifts, gain, masks and mixup."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.signal import augment

LEVELS = jnp.asarray(np.random.default_rng(0).uniform(0.2, 0.8, (12, 30)), jnp.float32)
KEYS = jax.random.split(jax.random.key(0), 200)


def apply_all(function, levels=LEVELS, **options):
    """Augment one spectrogram with 200 keys."""
    return np.asarray(jax.jit(jax.vmap(partial(function, **options), (0, None)))(KEYS, levels))


def test_time_shift_is_cyclic_and_reaches_every_frame():
    shifted = apply_all(augment.random_time_shift)
    rolls = np.stack([np.roll(LEVELS, k, axis=1) for k in range(30)])
    matches = (shifted[:, None] == rolls[None]).all((2, 3))
    assert (matches.sum(1) == 1).all()
    assert matches.any(0).all()


def test_row_shift_repeats_the_outermost_row_and_is_symmetric():
    shifted = apply_all(augment.random_row_shift, max_rows=3)
    padded = np.pad(LEVELS, ((3, 3), (0, 0)), mode="edge")
    matches = (shifted[:, None] == np.stack([padded[k : k + 12] for k in range(7)])[None]).all((2, 3))
    assert (matches.sum(1) == 1).all()
    assert matches.any(0).all()


def test_gain_is_one_number_and_keeps_silence():
    levels = LEVELS.at[:, :5].set(0.0)
    changed = apply_all(augment.random_gain, levels, max_change=0.1)
    assert (changed[:, :, :5] == 0).all()
    change = (changed - np.asarray(levels))[:, :, 5:].reshape(len(KEYS), -1)
    np.testing.assert_allclose(change, change[:, :1] * np.ones((1, change.shape[1])), atol=1e-6)
    assert np.abs(change).max() <= 0.1 + 1e-6
    assert change[:, 0].min() < -0.08
    assert change[:, 0].max() > 0.08


def test_tilt_is_linear_over_the_rows_and_leaves_the_middle():
    change = apply_all(augment.random_gain, max_change=0.0, max_tilt=0.1) - np.asarray(LEVELS)
    slope = change[:, :1] * np.linspace(1, -1, 12)[:, None]
    np.testing.assert_allclose(change, slope, atol=1e-6)
    assert 0.08 < np.abs(change).max() <= 0.1 + 1e-6


@pytest.mark.parametrize("axis", [0, 1])
def test_masks_cover_whole_bands_up_to_their_width(axis):
    levels = apply_all(augment.random_masks, count=1, max_width=4, axis=axis)
    masked = np.isclose(levels, np.asarray(LEVELS).mean(), atol=1e-6)
    lines = masked.all(axis=2 - axis)
    assert (masked == np.expand_dims(lines, 2 - axis)).all(), "a band covers the other axis completely"
    widths = lines.sum(1)
    assert set(widths) == {0, 1, 2, 3, 4}
    edges = np.abs(np.diff(np.pad(lines, ((0, 0), (1, 1))).astype(int), axis=1)).sum(1)
    assert (edges[widths > 0] == 2).all(), "a band is contiguous"
    assert lines.any(0).all(), "a band may lie anywhere"


def test_mixup_is_the_weighted_mean_of_two_examples():
    x, label = jnp.arange(12.0).reshape(3, 4), jnp.eye(3)
    share, partner = jnp.array([1.0, 0.25, 0.5]), jnp.array([1, 2, 0])
    np.testing.assert_allclose(augment.mixup(share, partner, x)[1], 0.25 * x[1] + 0.75 * x[2])
    np.testing.assert_allclose(augment.mixup(share, partner, label), [[1, 0, 0], [0, 0.25, 0.75], [0.5, 0, 0.5]])
