"""Augmentation of pictures: limits, independence of the pictures, and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.mvnet.augment import AugmentConfig, augment_pictures, change_color, cut_out, shift

PICTURE = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (16, 12, 3)), jnp.float32)
KEYS = jax.random.split(jax.random.key(0), 60)


def test_pictures_are_shifted_by_at_most_the_share_and_filled_with_zeros():
    shifted = np.asarray(jax.vmap(lambda key: shift(key, PICTURE, 0.25))(KEYS))
    padded = np.pad(PICTURE, ((4, 4), (3, 3), (0, 0)))
    found = set()
    for picture in shifted:
        (place,) = [
            (i, j) for i in range(9) for j in range(7) if np.array_equal(padded[i : i + 16, j : j + 12], picture)
        ]
        found.add(place)
    assert {min(i for i, _ in found), max(i for i, _ in found)} == {0, 8}
    assert {min(j for _, j in found), max(j for _, j in found)} == {0, 6}


def test_a_rectangle_is_cut_out():
    for picture in np.asarray(jax.vmap(lambda key: cut_out(key, PICTURE, 0.5))(KEYS)):
        changed = (picture != PICTURE).any(axis=-1)
        rows, columns = changed.any(axis=1), changed.any(axis=0)
        assert 4 <= rows.sum() <= 8
        assert 3 <= columns.sum() <= 6
        np.testing.assert_array_equal(changed, rows[:, None] & columns[None])
        np.testing.assert_array_equal(picture[changed], 0)


def test_colors_change_within_their_limits():
    """Without changes of saturation and contrast that matter, as a gray picture of one brightness has none."""
    gray = jnp.full((4, 4, 3), 0.1)
    changed = np.asarray(jax.vmap(lambda key: change_color(key, gray, 0.3))(KEYS))
    np.testing.assert_allclose(changed, np.broadcast_to(changed[:, :1, :1, :1], changed.shape), atol=1e-6)
    brightness = changed[:, 0, 0, 0] - 0.1
    assert -0.3 <= brightness.min() < -0.2
    assert 0.2 < brightness.max() <= 0.3


def test_each_picture_is_augmented_on_its_own_and_gradients_pass():
    config = AugmentConfig(0.2, 0.125, 0.5)
    pictures = jnp.stack([PICTURE] * 3)
    changed = jax.jit(lambda x: augment_pictures(KEYS[0], x, config))(pictures)
    assert not np.allclose(changed[0], changed[1])
    np.testing.assert_allclose(augment_pictures(KEYS[0], pictures[:1], config)[0], changed[0], atol=1e-6)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(augment_pictures(KEYS[0], x, config) ** 2)))(pictures)
    assert np.isfinite(gradient).all()
    assert np.mean(np.asarray(gradient) != 0) > 0.3
    np.testing.assert_array_equal(augment_pictures(KEYS[0], pictures, AugmentConfig()), pictures)


def test_settings_out_of_range_raise():
    with pytest.raises(ValueError, match=r"augment.color=0.7 must lie in \[0, 0.5\]"):
        AugmentConfig(color=0.7)
