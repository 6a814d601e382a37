"""Max pooling compared with flax's, and global max pooling with numpy's maximum."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.nn.pool import global_max_pool, max_pool


@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (2, 7, 5, 3)])
def test_pooling_and_its_gradient_agree_with_flax(shape):
    x = jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)
    expected, transpose = jax.vjp(lambda x: nn.max_pool(x, (2, 2), (2, 2)), x)
    actual, own_transpose = jax.vjp(lambda x: max_pool(x, (1, 2)), x)
    np.testing.assert_array_equal(actual, expected)
    cotangent = jnp.asarray(np.random.default_rng(1).standard_normal(expected.shape), jnp.float32)
    np.testing.assert_array_equal(own_transpose(cotangent)[0], transpose(cotangent)[0])


def test_only_the_named_axes_are_pooled():
    assert max_pool(jnp.zeros((4, 6, 8)), (1,)).shape == (4, 3, 8)


@pytest.mark.parametrize("shape", [(2, 9, 3), (2, 4, 5, 3)])
def test_global_pooling_takes_the_maximum_over_all_positions(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    np.testing.assert_array_equal(global_max_pool(jnp.asarray(x)), x.max(axis=tuple(range(1, len(shape) - 1))))


def test_gradient_of_global_pooling_goes_to_the_first_maximum():
    x = jnp.array([[[1.0, 5.0], [3.0, 5.0], [3.0, 2.0]]])
    _, transpose = jax.vjp(global_max_pool, x)
    np.testing.assert_array_equal(transpose(jnp.array([[7.0, 8.0]]))[0], [[[0, 8], [7, 0], [0, 0]]])


def test_gradient_of_global_pooling_is_finite_where_the_input_is_computed_again():
    """XLA computes the sum a second time for the gradient, with other rounding; that of `jnp.max` is NaN here."""
    shapes = (4, 13, 16), (1, 1, 16), (1, 1, 16)
    x, scale, offset = (np.random.default_rng(i).standard_normal(s).astype(np.float32) for i, s in enumerate(shapes))
    gradient = jax.jit(jax.grad(lambda x, scale, offset: jnp.sum(global_max_pool(x * scale + offset)), (0, 1, 2)))
    selected = np.arange(13)[:, None] == np.argmax(x * scale + offset, axis=1)[:, None]
    expected = selected * scale, (selected * x).sum(axis=(0, 1), keepdims=True), np.full((1, 1, 16), 4)
    for actual, gradient_of_numpy in zip(gradient(x, scale, offset), expected, strict=True):
        np.testing.assert_allclose(actual, gradient_of_numpy, rtol=1e-6, atol=1e-6)
