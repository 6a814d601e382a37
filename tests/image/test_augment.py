"""Affine transforms equal scipy's; random transforms, measured on coordinate images, stay within their bounds."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from conftest import modes
from specjax.image import augment

MODES = ["plain", "jit", "vmap"]
RNG = np.random.default_rng(0)
IMAGE = jnp.asarray(RNG.random((12, 9)), jnp.float32)
SIDE = 65
CENTER = (SIDE - 1) // 2
NO_CHANGE = {"max_shift": 0.0, "max_degrees": 0.0, "max_scale": 0.0, "max_shear": 0.0}


@pytest.mark.parametrize("mode", MODES)
def test_identity_transform_returns_the_image(mode):
    np.testing.assert_allclose(modes(augment.affine)[mode](IMAGE, jnp.eye(2), jnp.zeros(2)), IMAGE, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shift", [(0, 3), (2, 0), (-3, 1), (4, -4), (12, 0), (-40, 3)])
def test_integer_shift_moves_pixels_and_fills_with_zeros(shift, mode):
    """Output pixel p is the input at p + shift."""
    expected = np.zeros(IMAGE.shape)
    for i in range(12):
        for j in range(9):
            if 0 <= i + shift[0] < 12 and 0 <= j + shift[1] < 9:
                expected[i, j] = IMAGE[i + shift[0], j + shift[1]]
    result = modes(augment.affine)[mode](IMAGE, jnp.eye(2), jnp.array(shift, jnp.float32))
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_rotate_about_the_center(turns):
    image = jnp.asarray(RNG.random((9, 9)), jnp.float32)
    angle = turns * np.pi / 2
    matrix = jnp.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], jnp.float32)
    # Rounding may sample outside the image at the border, so the border is not compared.
    result = augment.affine(image, matrix, jnp.zeros(2))[1:-1, 1:-1]
    np.testing.assert_allclose(result, np.rot90(image, -turns)[1:-1, 1:-1], atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_affine_transform_matches_scipy(mode):
    matrix, shift = np.array([[0.9, -0.3], [0.2, 1.1]]), np.array([0.7, -1.3])
    center = (np.array(IMAGE.shape) - 1) / 2
    offset = center + shift - matrix @ center
    expected = scipy.ndimage.affine_transform(np.asarray(IMAGE, float), matrix, offset, order=1, mode="grid-constant")
    result = modes(augment.affine)[mode](IMAGE, jnp.asarray(matrix, jnp.float32), jnp.asarray(shift, jnp.float32))
    np.testing.assert_allclose(result, expected, atol=1e-5)


@partial(jax.jit, static_argnums=0)
def measure_transforms(bounds, keys):
    """Measure the matrices and shifts of random transforms at and beside the center of coordinate images."""
    rows, columns = jnp.meshgrid(
        jnp.arange(SIDE, dtype=jnp.float32), jnp.arange(SIDE, dtype=jnp.float32), indexing="ij"
    )

    def measure(key):
        sampled = jnp.stack([augment.random_affine(key, x, **dict(bounds)) for x in (rows, columns)])
        center = sampled[:, CENTER, CENTER]
        matrix = (
            jnp.stack([sampled[:, CENTER + 8, CENTER] - center, sampled[:, CENTER, CENTER + 8] - center], axis=1) / 8
        )
        return matrix, center - CENTER

    return jax.vmap(measure)(keys)


def draw_transforms(count=300, **bounds):
    matrices, shifts = measure_transforms(
        tuple((NO_CHANGE | bounds).items()), jax.random.split(jax.random.key(0), count)
    )
    return np.asarray(matrices, float), np.asarray(shifts, float)


def assert_uniform(values, low, high):
    """Assert that the values reach close to both bounds, exceed neither, and have the expected mean."""
    span = high - low
    assert low - 1e-4 <= values.min() < low + 0.05 * span
    assert high - 0.05 * span < values.max() <= high + 1e-4
    assert abs(values.mean() - (low + high) / 2) < 0.1 * span


def test_zero_bounds_return_the_image(key):
    np.testing.assert_allclose(augment.random_affine(key, IMAGE, **NO_CHANGE), IMAGE, atol=1e-5)


def test_shifts_are_uniform_and_independent():
    matrices, shifts = draw_transforms(max_shift=3.0)
    assert_uniform(shifts[:, 0], -3, 3)
    assert_uniform(shifts[:, 1], -3, 3)
    np.testing.assert_allclose(matrices, np.tile(np.eye(2), (300, 1, 1)), atol=1e-4)
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.2


def test_rotation_angles_are_uniform():
    matrices, shifts = draw_transforms(max_degrees=20.0)
    assert_uniform(np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])), -20, 20)
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), np.tile(np.eye(2), (300, 1, 1)), atol=1e-3)
    np.testing.assert_allclose(shifts, 0, atol=1e-4)


def test_scales_are_uniform():
    matrices, _ = draw_transforms(max_scale=0.2)
    assert_uniform(matrices[:, 0, 0], 0.8, 1.2)
    assert_uniform(matrices[:, 1, 1], 0.8, 1.2)
    np.testing.assert_allclose(matrices[:, [0, 1], [1, 0]], 0, atol=1e-4)


def test_shears_are_uniform():
    matrices, _ = draw_transforms(max_shear=0.3)
    assert_uniform(matrices[:, 1, 0], -0.3, 0.3)
    np.testing.assert_allclose(matrices[:, 0], np.tile([1.0, 0.0], (300, 1)), atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_plain_jit_and_vmap_draw_the_same_transform(mode, key):
    expected = augment.random_affine(key, IMAGE)
    np.testing.assert_allclose(modes(augment.random_affine)[mode](key, IMAGE), expected, atol=1e-5)


def test_default_bounds_keep_most_of_a_digit(key):
    digit = jnp.zeros((28, 28)).at[8:20, 8:20].set(1.0)
    changed = jax.jit(jax.vmap(lambda k: augment.random_affine(k, digit)))(jax.random.split(key, 50))
    share = np.asarray(changed).sum(axis=(1, 2)) / 144
    assert 0.75 < share.min() < share.max() < 1.3
