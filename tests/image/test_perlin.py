"""Perlin noise matches the textbook form: dot products at the four cell corners, blended by the fade curve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from conftest import modes
from specjax.image import perlin

MODES = ["plain", "jit", "vmap"]
RNG = np.random.default_rng(0)


def unit_gradients(cells):
    angle = RNG.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    return np.stack([np.sin(angle), np.cos(angle)]).astype(np.float32)


def reference_noise(gradients, shape):
    """Compute the noise point by point in float64; gradients have the y components first."""
    cells = [n - 1 for n in gradients.shape[1:]]
    field = np.zeros(shape)
    for i in range(shape[0]):
        for j in range(shape[1]):
            y, x = i * cells[0] / shape[0], j * cells[1] / shape[1]
            y0, x0 = int(y), int(x)
            corners = np.zeros((2, 2))
            for dy in (0, 1):
                for dx in (0, 1):
                    offset = (y - y0 - dy, x - x0 - dx)
                    corners[dy, dx] = np.dot(gradients[:, y0 + dy, x0 + dx].astype(float), offset)
            v, u = (t**3 * (6 * t**2 - 15 * t + 10) for t in (y - y0, x - x0))
            top, bottom = ((1 - u) * corners[row, 0] + u * corners[row, 1] for row in (0, 1))
            field[i, j] = np.sqrt(2) * ((1 - v) * top + v * bottom)
    return field


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("shape", "cells"), [((24, 36), (4, 3)), ((20, 17), (3, 5)), ((9, 8), (1, 2)), ((6, 6), (6, 6))]
)
def test_noise_matches_the_textbook_form(shape, cells, mode):
    gradients = unit_gradients(cells)
    result = modes(lambda g: perlin.noise_from_gradients(g, shape))[mode](jnp.asarray(gradients))
    np.testing.assert_allclose(result, reference_noise(gradients, shape), atol=2e-6)


def test_noise_vanishes_at_lattice_points():
    noise = perlin.noise_from_gradients(jnp.asarray(unit_gradients((4, 3))), (24, 36))
    np.testing.assert_allclose(noise[::6, ::12], 0.0, atol=1e-6)


def test_noise_is_linear_in_the_gradients():
    first, second = (jnp.asarray(unit_gradients((4, 3))) for _ in range(2))
    combined = perlin.noise_from_gradients(first + 2 * second, (24, 36))
    separate = perlin.noise_from_gradients(first, (24, 36)) + 2 * perlin.noise_from_gradients(second, (24, 36))
    np.testing.assert_allclose(combined, separate, atol=1e-5)


def test_constant_gradient_varies_along_its_own_axis_only():
    """With y components only, values are constant along x; along y they rise and fall within a cell."""
    gradients = jnp.zeros((2, 4, 5)).at[0].set(1.0)
    noise = np.asarray(perlin.noise_from_gradients(gradients, (30, 40)))
    np.testing.assert_allclose(noise, np.tile(noise[:, :1], (1, 40)), atol=1e-6)
    assert noise[1, 0] > 0 > noise[9, 0]


@pytest.mark.parametrize("mode", MODES)
def test_values_lie_in_unit_range_and_use_most_of_it(mode):
    function = modes(lambda k: perlin.perlin_noise(k, (96, 96), (8, 8)))[mode]
    fields = np.array([function(jax.random.key(seed)) for seed in range(5)])
    assert np.abs(fields).max() <= 1.0
    assert np.abs(fields).max() > 0.7
    assert abs(fields.mean()) < 0.05


def test_gradients_pointing_at_a_cell_center_reach_one():
    """Each of the four dot products at the center is sqrt(1/2); the noise is their mean times sqrt(2)."""
    diagonal = np.sqrt(0.5) * np.array([[[1, 1], [-1, -1]], [[1, -1], [1, -1]]])
    noise = perlin.noise_from_gradients(jnp.asarray(diagonal, jnp.float32), (10, 10))
    assert float(noise[5, 5]) == pytest.approx(1.0, abs=1e-6)


def test_perlin_noise_draws_unit_gradients_from_the_key(key):
    angle = np.asarray(jax.random.uniform(jax.random.fold_in(key, 0), (4, 5), maxval=2 * np.pi))
    gradients = np.stack([np.cos(angle), np.sin(angle)])
    np.testing.assert_allclose(
        perlin.perlin_noise(key, (21, 16), (3, 4)), reference_noise(gradients, (21, 16)), atol=2e-6
    )


def test_octaves_double_the_cells_and_scale_by_persistence(key):
    def octave(i):
        cells = (3 * 2**i, 2 * 2**i)
        angle = jax.random.uniform(jax.random.fold_in(key, i), (cells[0] + 1, cells[1] + 1), maxval=2 * np.pi)
        return perlin.noise_from_gradients(jnp.stack([jnp.cos(angle), jnp.sin(angle)]), (48, 32))

    expected = octave(0) + 0.3 * octave(1) + 0.09 * octave(2)
    result = perlin.perlin_noise(key, (48, 32), (3, 2), octaves=3, persistence=0.3)
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_equal_keys_repeat_and_different_keys_differ(key):
    first, again = (perlin.perlin_noise(key, (12, 12), (3, 3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert float(jnp.abs(first - perlin.perlin_noise(jax.random.key(1), (12, 12), (3, 3))).max()) > 0.1


def test_fade_rises_from_zero_to_one_with_flat_ends():
    np.testing.assert_allclose(perlin.fade(np.array([0.0, 0.5, 1.0])), [0.0, 0.5, 1.0])
    h = 1e-3
    for end, direction in ((0.0, 1), (1.0, -1)):
        at_end, near, far = perlin.fade(end + direction * h * np.arange(3))
        assert abs(near - at_end) / h < 2e-5
        assert abs(far - 2 * near + at_end) / h**2 < 0.1
    t = np.linspace(0, 1, 101)
    assert np.all(np.diff(perlin.fade(t)) > 0)
    np.testing.assert_allclose(perlin.fade(t) + perlin.fade(1 - t), 1.0)


@pytest.mark.parametrize(("n", "cells"), [(24, 4), (17, 5), (5, 5)])
def test_weights_of_a_point_sum_to_one_over_two_lattice_lines(n, cells):
    weights, weighted_distances = perlin.lattice_weights(n, cells)
    assert weights.shape == weighted_distances.shape == (n, cells + 1)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
    assert np.all(np.count_nonzero(weights, axis=1) <= 2)
    distances = np.arange(n)[:, None] * cells / n - np.arange(cells + 1)
    np.testing.assert_allclose(weighted_distances, weights * distances, atol=1e-6)
