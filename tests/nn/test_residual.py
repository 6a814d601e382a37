"""Parts of residual networks against numpy and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from specjax.nn.residual import (
    ResidualBlock,
    SameConv,
    depth_to_space,
    mean_pool,
    space_to_depth,
    upsample_nearest,
)

X = jnp.asarray(np.random.default_rng(0).standard_normal((2, 4, 6, 3)), jnp.float32)


def test_space_to_depth_keeps_the_order_of_pixels_in_a_block():
    y = space_to_depth(X, (2, 3))
    assert y.shape == (2, 2, 2, 18)
    np.testing.assert_array_equal(y[1, 0, 1], X[1, 0:2, 3:6].reshape(-1))
    np.testing.assert_array_equal(depth_to_space(y, (2, 3)), X)


def test_upsampling_repeats_pixels_and_pooling_averages_them():
    y = upsample_nearest(X, (2, 3))
    np.testing.assert_array_equal(y, jnp.repeat(jnp.repeat(X, 2, axis=1), 3, axis=2))
    np.testing.assert_allclose(mean_pool(y, (2, 3)), X, atol=1e-6)
    np.testing.assert_allclose(mean_pool(X, (2, 3))[1, 1, 0], X[1, 2:4, 0:3].mean(axis=(0, 1)), atol=1e-6)


@pytest.mark.parametrize(("padding", "mode"), [("zeros", "constant"), ("circular", "grid-wrap")])
def test_convolution_matches_scipy_with_both_kinds_of_padding(padding, mode):
    layer = SameConv(2, (3, 5), padding=padding)
    y, variables = layer.init_with_output(jax.random.key(0), X)
    kernel = np.asarray(variables["params"]["kernel"])
    expected = np.zeros((2, 4, 6, 2))
    for n, c, f in np.ndindex(2, 3, 2):
        # The height is always padded with zeros, which are cut off again.
        padded = np.pad(X[n, ..., c], ((3, 3), (0, 0)))
        expected[n, ..., f] += scipy.ndimage.correlate(padded, kernel[..., c, f], mode=mode)[3:-3]
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_gain_is_the_deviation_of_the_outputs():
    x = jax.random.normal(jax.random.key(1), (1, 12, 12, 64))
    y, _ = SameConv(64, (1, 3), gain=0.5).init_with_output(jax.random.key(0), x)
    assert float(jnp.std(y[:, :, 1:-1])) == pytest.approx(0.5, rel=0.05)


def test_block_is_the_identity_at_the_start_and_can_learn():
    layer = ResidualBlock((3, 3), blocks=4)
    y, variables = layer.init_with_output(jax.random.key(0), X)
    np.testing.assert_array_equal(y, X)
    gradient = jax.grad(lambda v: jnp.sum(layer.apply(v, X) ** 2))(variables)["params"]
    assert float(jnp.abs(gradient["conv2"]["kernel"]).max()) > 0


def test_branches_are_scaled_by_the_number_of_blocks():
    deviations = [
        float(jnp.std(ResidualBlock((3, 3), blocks).init(jax.random.key(0), X)["params"]["conv1"]["kernel"]))
        for blocks in (1, 4)
    ]
    assert deviations[0] == pytest.approx(2 * deviations[1])
