"""Spectral normalization against singular values by numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.nn.spectral_norm import largest_singular_value, spectral_normalize

RNG = np.random.default_rng(0)


def with_singular_values(values, shape):
    u, _, v = np.linalg.svd(RNG.normal(size=shape), full_matrices=False)
    return jnp.asarray(u * np.asarray(values) @ v, jnp.float32)


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (9, 9), (5, 1)])
def test_random_matrices_have_the_singular_value_of_numpy(shape):
    matrix = jnp.asarray(RNG.normal(size=shape), jnp.float32)
    assert float(largest_singular_value(matrix)) == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-3)


@pytest.mark.parametrize(("second", "tolerance"), [(0.9, 1e-5), (0.99, 1e-2), (1.0, 1e-5)])
def test_bound_is_tight_even_for_close_singular_values(second, tolerance):
    value = float(largest_singular_value(with_singular_values([1.0, second, 0.5], (20, 3))))
    assert 1 - tolerance < value < 1 + 1e-5


def test_scale_does_not_matter():
    matrix = with_singular_values([1.0, 0.3], (6, 2))
    for scale in (1e-12, 1e12):
        assert float(largest_singular_value(matrix * scale)) == pytest.approx(scale, rel=1e-4)


def test_gradient_is_the_product_of_the_singular_vectors():
    matrix = with_singular_values([2.0, 1.0, 0.5], (7, 3))
    u, _, v = np.linalg.svd(matrix)
    np.testing.assert_allclose(jax.grad(largest_singular_value)(matrix), np.outer(u[:, 0], v[0]), atol=1e-4)


def test_zero_matrix_has_value_and_gradient_zero():
    value, gradient = jax.value_and_grad(largest_singular_value)(jnp.zeros((4, 3)))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_normalized_kernels_have_norm_one_and_biases_stay():
    kernel = jnp.asarray(RNG.normal(size=(3, 3, 4, 8)), jnp.float32)
    params = {"conv": {"kernel": kernel, "bias": jnp.full(8, 3.0)}}
    normalized = spectral_normalize(params)["conv"]
    assert np.linalg.norm(normalized["kernel"].reshape(-1, 8), 2) == pytest.approx(1, rel=1e-3)
    np.testing.assert_array_equal(normalized["bias"], 3)


def test_floor_leaves_small_kernels_alone():
    small, large = with_singular_values([0.5, 0.1], (6, 2)), with_singular_values([5.0, 0.1], (6, 2))
    result = spectral_normalize({"small": small, "large": large, "zero": jnp.zeros((6, 2))}, floor=1.0)
    np.testing.assert_array_equal(result["small"], small)
    np.testing.assert_array_equal(result["zero"], 0)
    assert np.linalg.norm(result["large"], 2) == pytest.approx(1, rel=1e-5)
