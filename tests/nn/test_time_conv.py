"""Convolution over time: both forms against numpy, values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.nn.time_conv import time_conv


def correlate(x, kernel, padding):
    """Cross-correlation over time, computed by numpy in float64."""
    width = len(kernel)
    if padding == "SAME":
        x = np.pad(x, ((0, 0), ((width - 1) // 2, width // 2), (0, 0)))
    frames = x.shape[1] - width + 1
    return sum(np.einsum("btc,cf->btf", x[:, i : i + frames].astype(float), kernel[i]) for i in range(width))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("form", ["direct", "fourier"])
@pytest.mark.parametrize(("frames", "width"), [(50, 11), (23, 4), (64, 1)])
def test_matches_numpy(form, padding, frames, width):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, frames, 5)), rng.normal(size=(width, 5, 3))
    y = jax.jit(time_conv, static_argnums=(2, 3))(jnp.float32(x), jnp.float32(kernel), padding, form)
    np.testing.assert_allclose(y, correlate(x, kernel, padding), atol=2e-5)


def test_both_forms_have_the_same_gradients():
    rng = np.random.default_rng(1)
    x, kernel = jnp.float32(rng.normal(size=(2, 40, 5))), jnp.float32(rng.normal(size=(11, 5, 3)))

    def gradients(form):
        return jax.grad(lambda x, k: jnp.sum(jnp.sin(time_conv(x, k, "SAME", form))), (0, 1))(x, kernel)

    for direct, fourier in zip(gradients("direct"), gradients("fourier"), strict=True):
        np.testing.assert_allclose(direct, fourier, atol=1e-4)
