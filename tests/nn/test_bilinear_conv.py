"""Bilinear upsampling and convolution in one, against both steps: values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np

from specjax.nn.bilinear_conv import BilinearConv, bilinear_conv
from specjax.nn.conv import conv

RNG = np.random.default_rng(0)


def random(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def two_steps(x, kernel):
    batch, height, width, channels = x.shape
    return conv(jax.image.resize(x, (batch, 2 * height, 2 * width, channels), "linear"), kernel)


def test_values_and_gradients_are_those_of_the_two_steps():
    x, kernel, weights = random(2, 4, 5, 3), random(3, 3, 3, 6), random(2, 8, 10, 6)

    def derive(function):
        def loss(*args):
            return jnp.sum(function(*args) * weights)

        return jax.jit(lambda *args: (function(*args), jax.grad(loss, (0, 1))(*args)))(x, kernel)

    actual, expected = derive(bilinear_conv), derive(two_steps)
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, atol=2e-5), actual, expected)


def test_the_layer_adds_a_bias():
    x = random(1, 4, 4, 2)
    params = BilinearConv(3).init(jax.random.key(0), x)["params"]
    bias = jnp.arange(3.0)
    actual = BilinearConv(3).apply({"params": params | {"bias": bias}}, x)
    np.testing.assert_allclose(actual, two_steps(x, params["kernel"]) + bias.reshape(1, 1, 1, 3), atol=1e-5)
