"""Resampling and Gaussian matrices match scipy and jax.image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from conftest import modes
from specjax.image import linear

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("n_in", "n_out"), [(28, 1008), (28, 29), (29, 28), (8, 7), (10, 4), (9, 27), (5, 5)])
def test_fft_resampling_matches_scipy(n_in, n_out):
    x = RNG.standard_normal(n_in)
    expected = scipy.signal.resample(x, n_out)
    np.testing.assert_allclose(linear.resample_matrix(n_in, n_out, "fft") @ x, expected, atol=2e-6)


@pytest.mark.parametrize(("method", "name"), [("bilinear", "linear"), ("cubic", "cubic"), ("nearest", "nearest")])
def test_upsampling_matches_jax_image(method, name):
    x = RNG.standard_normal(28).astype(np.float32)
    expected = jax.image.resize(jnp.asarray(x), (1008,), name, antialias=False)
    np.testing.assert_allclose(linear.resample_matrix(28, 1008, method) @ x, expected, atol=1e-5)


def test_bilinear_upsampling_matches_scipy_zoom():
    x = RNG.random((28, 28))
    expected = scipy.ndimage.zoom(x, 36, order=1, mode="nearest", grid_mode=True)
    up = linear.resample_matrix(28, 1008)
    np.testing.assert_allclose(up @ x @ up.T, expected, atol=1e-6)


@pytest.mark.parametrize("method", linear.RESAMPLING)
def test_resampling_preserves_constants(method):
    np.testing.assert_allclose(linear.resample_matrix(28, 100, method).sum(axis=1), 1.0, atol=1e-6)


def test_unknown_resampling_method_raises():
    with pytest.raises(ValueError, match="lanczos.*nearest, bilinear, cubic, fft"):
        linear.resample_matrix(4, 8, "lanczos")


@pytest.mark.parametrize(("n", "sigma"), [(100, 2.0), (100, 20.0), (30, 0.4), (12, 9.0)])
def test_gaussian_matrix_matches_scipy(n, sigma):
    x = RNG.standard_normal(n)
    expected = scipy.ndimage.gaussian_filter1d(x, sigma)
    np.testing.assert_allclose(linear.gaussian_matrix(n, sigma) @ x, expected, atol=2e-6)


def test_gaussian_matrix_of_zero_sigma_is_the_identity():
    np.testing.assert_array_equal(linear.gaussian_matrix(7, 0.0), np.eye(7, dtype=np.float32))


def test_normal_density_matches_the_formula_of_the_paper():
    x = np.arange(1008)
    expected = np.exp(-((x - 110) ** 2) / (2 * 400**2)) / (np.sqrt(2 * np.pi) * 400)
    np.testing.assert_allclose(linear.normal_density(1008, 110.0, 400.0), expected, rtol=1e-6)


def test_mean_pool_averages_adjacent_outputs():
    matrix = RNG.standard_normal((12, 5)).astype(np.float32)
    expected = [matrix[i : i + 3].mean(axis=0) for i in (0, 3, 6, 9)]
    np.testing.assert_allclose(linear.mean_pool(matrix, 4), expected, atol=1e-6)
    np.testing.assert_array_equal(linear.mean_pool(matrix, 12), matrix)


@pytest.mark.parametrize("count", [0, 5, 24])
def test_groups_of_unequal_size_raise(count):
    with pytest.raises(ValueError, match=f"12 points do not divide into {count} groups"):
        linear.mean_pool(np.ones((12, 5), np.float32), count)


@pytest.mark.parametrize("mode", ["plain", "jit", "vmap"])
def test_separable_applies_both_operators(mode):
    image = jnp.asarray(RNG.standard_normal((6, 5)), jnp.float32)
    rows, columns = (jnp.asarray(RNG.standard_normal(s), jnp.float32) for s in ((9, 6), (8, 5)))
    expected = np.einsum("ri,ij,cj->rc", rows, image, columns)
    result = modes(lambda r, x, c: linear.separable(r, x, c))[mode](rows, image, columns)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("n_in", "n_out"), [(64, 8), (10, 3), (7, 7), (5, 4)])
def test_area_averages_match_those_of_a_finer_signal(n_in, n_out):
    x = RNG.standard_normal(n_in)
    expected = np.repeat(x, n_out).reshape(n_out, n_in).mean(axis=1)
    np.testing.assert_allclose(linear.area_matrix(n_in, n_out) @ x, expected, atol=1e-6)
