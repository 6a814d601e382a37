"""Affine changes against scipy; random ones within their bounds, read off pictures of their own coordinates."""

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
CENTRE = (SIDE - 1) // 2
STILL = {"max_shift": 0.0, "max_degrees": 0.0, "max_scale": 0.0, "max_shear": 0.0}


@pytest.mark.parametrize("mode", MODES)
def test_the_identity_leaves_a_picture(mode):
    np.testing.assert_allclose(modes(augment.affine)[mode](IMAGE, jnp.eye(2), jnp.zeros(2)), IMAGE, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shift", [(0, 3), (2, 0), (-3, 1), (4, -4), (12, 0), (-40, 3)])
def test_a_whole_shift_rolls_zeros_in(shift, mode):
    """Point p shows the picture at p + shift."""
    expected = np.zeros(IMAGE.shape)
    for i in range(12):
        for j in range(9):
            if 0 <= i + shift[0] < 12 and 0 <= j + shift[1] < 9:
                expected[i, j] = IMAGE[i + shift[0], j + shift[1]]
    result = modes(augment.affine)[mode](IMAGE, jnp.eye(2), jnp.array(shift, jnp.float32))
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_about_the_centre(turns):
    image = jnp.asarray(RNG.random((9, 9)), jnp.float32)
    angle = turns * np.pi / 2
    matrix = jnp.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], jnp.float32)
    # Within the frame: at its border rounding may look past the edge.
    result = augment.affine(image, matrix, jnp.zeros(2))[1:-1, 1:-1]
    np.testing.assert_allclose(result, np.rot90(image, -turns)[1:-1, 1:-1], atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_any_affine_change_is_scipys(mode):
    matrix, shift = np.array([[0.9, -0.3], [0.2, 1.1]]), np.array([0.7, -1.3])
    centre = (np.array(IMAGE.shape) - 1) / 2
    offset = centre + shift - matrix @ centre
    expected = scipy.ndimage.affine_transform(np.asarray(IMAGE, float), matrix, offset, order=1, mode="grid-constant")
    result = modes(augment.affine)[mode](IMAGE, jnp.asarray(matrix, jnp.float32), jnp.asarray(shift, jnp.float32))
    np.testing.assert_allclose(result, expected, atol=1e-5)


@partial(jax.jit, static_argnums=0)
def drawn(bounds, keys):
    """Matrices and shifts of random changes, read at and beside the centre of pictures of coordinates."""
    rows, columns = jnp.meshgrid(
        jnp.arange(SIDE, dtype=jnp.float32), jnp.arange(SIDE, dtype=jnp.float32), indexing="ij"
    )

    def one(key):
        seen = jnp.stack([augment.random_affine(key, x, **dict(bounds)) for x in (rows, columns)])
        centre = seen[:, CENTRE, CENTRE]
        matrix = jnp.stack([seen[:, CENTRE + 8, CENTRE] - centre, seen[:, CENTRE, CENTRE + 8] - centre], axis=1) / 8
        return matrix, centre - CENTRE

    return jax.vmap(one)(keys)


def draw(count=300, **bounds):
    matrices, shifts = drawn(tuple((STILL | bounds).items()), jax.random.split(jax.random.key(0), count))
    return np.asarray(matrices, float), np.asarray(shifts, float)


def fills(values, low, high):
    """Uniform draws come near both bounds and pass neither."""
    span = high - low
    assert low - 1e-4 <= values.min() < low + 0.05 * span
    assert high - 0.05 * span < values.max() <= high + 1e-4
    assert abs(values.mean() - (low + high) / 2) < 0.1 * span


def test_without_bounds_nothing_changes(key):
    np.testing.assert_allclose(augment.random_affine(key, IMAGE, **STILL), IMAGE, atol=1e-5)


def test_shifts_fill_their_bounds():
    matrices, shifts = draw(max_shift=3.0)
    fills(shifts[:, 0], -3, 3)
    fills(shifts[:, 1], -3, 3)
    np.testing.assert_allclose(matrices, np.tile(np.eye(2), (300, 1, 1)), atol=1e-4)
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.2


def test_turns_fill_their_bounds():
    matrices, shifts = draw(max_degrees=20.0)
    fills(np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])), -20, 20)
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), np.tile(np.eye(2), (300, 1, 1)), atol=1e-3)
    np.testing.assert_allclose(shifts, 0, atol=1e-4)


def test_scales_fill_their_bounds():
    matrices, _ = draw(max_scale=0.2)
    fills(matrices[:, 0, 0], 0.8, 1.2)
    fills(matrices[:, 1, 1], 0.8, 1.2)
    np.testing.assert_allclose(matrices[:, [0, 1], [1, 0]], 0, atol=1e-4)


def test_shears_fill_their_bounds():
    matrices, _ = draw(max_shear=0.3)
    fills(matrices[:, 1, 0], -0.3, 0.3)
    np.testing.assert_allclose(matrices[:, 0], np.tile([1.0, 0.0], (300, 1)), atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_draws_the_same(mode, key):
    expected = augment.random_affine(key, IMAGE)
    np.testing.assert_allclose(modes(augment.random_affine)[mode](key, IMAGE), expected, atol=1e-5)


def test_a_digit_keeps_most_of_its_ink(key):
    digit = jnp.zeros((28, 28)).at[8:20, 8:20].set(1.0)
    changed = jax.jit(jax.vmap(lambda k: augment.random_affine(k, digit)))(jax.random.split(key, 50))
    share = np.asarray(changed).sum(axis=(1, 2)) / 144
    assert 0.75 < share.min() < share.max() < 1.3
