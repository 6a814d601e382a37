"""Convolution over time: all implementations against numpy, and their gradients against each other."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.nn.pool import max_pool
from specjax.nn.time_conv import TimeConv, time_conv


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def correlate(x, kernel, padding, dilation):
    """Cross-correlation over time, computed by numpy in float64."""
    reach = (len(kernel) - 1) * dilation
    if padding == "SAME":
        x = np.pad(x, ((0, 0), (reach // 2, reach - reach // 2), (0, 0)))
    frames = x.shape[1] - reach
    taps = enumerate(kernel)
    return sum(np.einsum("btc,cf->btf", x[:, i * dilation :][:, :frames].astype(float), tap) for i, tap in taps)


@pytest.mark.parametrize("implementation", ["direct", "unfolded", "fourier"])
@pytest.mark.parametrize(
    ("frames", "width", "dilation", "padding"),
    [(50, 11, 1, "SAME"), (50, 11, 1, "VALID"), (23, 4, 1, "SAME"), (64, 1, 1, "VALID"), (40, 4, 5, "SAME")],
)
def test_matches_numpy(implementation, frames, width, dilation, padding, monkeypatch):
    monkeypatch.setattr("specjax.nn.time_conv._BLOCK", 2)  # `fourier` computes the three features in two blocks
    x, kernel = random(0, 2, frames, 5), random(1, width, 5, 3)
    convolve = partial(time_conv, padding=padding, dilation=dilation, implementation=implementation)
    y = jax.jit(convolve)(jnp.asarray(x), jnp.asarray(kernel))
    np.testing.assert_allclose(y, correlate(x, kernel, padding, dilation), atol=2e-5)


def test_all_implementations_have_the_same_gradients(monkeypatch):
    monkeypatch.setattr("specjax.nn.time_conv._BLOCK", 2)
    x, kernel = random(0, 2, 40, 5), random(1, 11, 5, 3)

    def loss(x, kernel, implementation):
        return jnp.sum(jnp.sin(time_conv(x, kernel, implementation=implementation)))

    gradients = jax.jit(jax.grad(loss, (0, 1)), static_argnums=2)
    direct = gradients(x, kernel, "direct")
    for implementation in ("unfolded", "fourier"):
        for actual, expected in zip(gradients(x, kernel, implementation), direct, strict=True):
            np.testing.assert_allclose(actual, expected, atol=1e-4)


@pytest.mark.parametrize("implementation", [None, "direct", "unfolded", "fourier"])
def test_a_single_sequence_has_the_same_result_as_in_a_batch(implementation):
    x, kernel = jnp.asarray(random(0, 2, 40, 5)), jnp.asarray(random(1, 11, 5, 3))
    convolve = jax.jit(partial(time_conv, implementation=implementation))
    np.testing.assert_allclose(convolve(x[1], kernel), convolve(x, kernel)[1], atol=1e-5)


def test_module_pools_pairs_of_frames_of_its_output():
    x = jnp.asarray(random(0, 2, 21, 5))
    whole, pooled = (TimeConv(3, 4, bias_init=nn.initializers.normal(), pool=pool) for pool in (False, True))
    variables = whole.init(jax.random.key(0), x)
    np.testing.assert_array_equal(pooled.apply(variables, x), max_pool(whole.apply(variables, x), (1,)))
