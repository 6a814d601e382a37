"""Convolutions match scipy and a loop over the formula of the transposed convolution, in both implementations."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from conftest import modes
from specjax.nn import conv

MODES = ["plain", "jit", "vmap"]
RNG = np.random.default_rng(0)


def random(*shape):
    return jnp.asarray(RNG.standard_normal(shape), jnp.float32)


def reference_up_conv(x, kernel):
    """Compute out[o] = sum_i x[i] kernel[o + 1 - 2 i] along both axes in float64."""
    batch, height, width, _ = x.shape
    out = np.zeros((batch, 2 * height, 2 * width, kernel.shape[-1]))
    for oy in range(2 * height):
        for ox in range(2 * width):
            for iy in range(height):
                for ix in range(width):
                    ky, kx = oy + 1 - 2 * iy, ox + 1 - 2 * ix
                    if 0 <= ky < 4 and 0 <= kx < 4:
                        out[:, oy, ox] += np.asarray(x[:, iy, ix], float) @ np.asarray(kernel[ky, kx], float)
    return out


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", [1, 3, 5])
def test_conv_matches_scipy_correlation(side, mode):
    x, kernel = random(2, 7, 6, 3), random(side, side, 3, 4)
    expected = np.zeros((2, 7, 6, 4))
    for n, c, f in np.ndindex(2, 3, 4):
        expected[n, ..., f] += scipy.signal.correlate(x[n, ..., c], kernel[..., c, f], "same", "direct")
    np.testing.assert_allclose(modes(conv.conv)[mode](x, kernel), expected, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("implementation", ["subpixel", "native"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 3), (1, 1, 2, 1)])
def test_up_conv_matches_its_formula(shape, implementation, mode):
    x, kernel = random(*shape), random(4, 4, shape[-1], 2)
    result = modes(partial(conv.up_conv, implementation=implementation))[mode](x, kernel)
    np.testing.assert_allclose(result, reference_up_conv(x, kernel), atol=1e-5)


def test_both_implementations_have_the_same_gradients():
    x, kernel, cotangent = random(2, 4, 5, 3), random(4, 4, 3, 2), random(2, 8, 10, 2)
    subpixel_gradients, native_gradients = (
        jax.vjp(partial(conv.up_conv, implementation=name), x, kernel)[1](cotangent) for name in ("subpixel", "native")
    )
    for subpixel, native in zip(subpixel_gradients, native_gradients, strict=True):
        np.testing.assert_allclose(subpixel, native, rtol=1e-4, atol=1e-4)


def test_up_conv_gradients_are_adjoints():
    """The operation is linear in each argument: <U(x, k), y> = <x, dx> = <k, dk>."""
    x, kernel, y = random(1, 3, 3, 2), random(4, 4, 2, 3), random(1, 6, 6, 3)
    product = np.vdot(reference_up_conv(x, kernel), y)
    for argument, gradient in zip((x, kernel), jax.vjp(conv.up_conv, x, kernel)[1](y), strict=True):
        np.testing.assert_allclose(jnp.vdot(argument, gradient), product, rtol=1e-3)


@pytest.mark.parametrize(("backend", "implementation"), [("cpu", "subpixel"), ("gpu", "native"), ("tpu", "native")])
def test_default_implementation_depends_on_the_backend(backend, implementation, monkeypatch):
    monkeypatch.setattr(conv.jax, "default_backend", lambda: backend)
    x, kernel = random(1, 3, 3, 2), random(4, 4, 2, 3)
    dilated = "lhs_dilation=(2, 2)" in str(jax.make_jaxpr(lambda *args: conv.up_conv(*args))(x, kernel))
    assert dilated == (implementation == "native")


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(("module", "sides"), [(conv.Conv, (6, 5)), (conv.UpConv, (12, 10))])
def test_modules_keep_float32_parameters_and_add_their_bias(module, sides, dtype):
    layer = module(3, dtype=dtype)
    x = random(2, 6, 5, 4)
    out, variables = layer.init_with_output(jax.random.key(0), x)
    params = variables["params"]
    assert out.shape == (2, *sides, 3)
    assert out.dtype == dtype
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))
    shifted = layer.apply({"params": params | {"bias": jnp.array([1.0, 2.0, 3.0])}}, x)
    difference = jnp.mean(shifted.astype(jnp.float32) - out.astype(jnp.float32), axis=(0, 1, 2))
    np.testing.assert_allclose(difference, [1, 2, 3], atol=1e-5 if dtype == jnp.float32 else 2e-2)


class TestInitializers:
    """`torch` is uniform in +-1 / sqrt(fan_in) for kernel and bias; `he` is normal with variance 2 / fan_in."""

    def params(self, module, init, channels, features):
        layer = module(features, initializer=init)
        _, variables = layer.init_with_output(jax.random.key(1), jnp.zeros((1, 4, 4, channels)))
        return variables["params"]

    # PyTorch's fan-in counts the input channels of a convolution, but the output channels of a transposed one.
    @pytest.mark.parametrize(("module", "fan_in"), [(conv.Conv, 9 * 16), (conv.UpConv, 16 * 48)])
    def test_torch_is_uniform_within_the_fan_in_bound(self, module, fan_in):
        params = self.params(module, "torch", 16, 48)
        bound = 1 / np.sqrt(fan_in)
        for leaf in params.values():
            assert float(jnp.abs(leaf).max()) <= bound
            assert float(jnp.abs(leaf).max()) > 0.85 * bound
        assert float(jnp.std(params["kernel"])) == pytest.approx(bound / np.sqrt(3), rel=0.05)

    def test_he_has_variance_two_over_fan_in_and_zero_bias(self):
        params = self.params(conv.Conv, "he", 16, 48)
        np.testing.assert_array_equal(params["bias"], 0.0)
        assert float(jnp.std(params["kernel"])) == pytest.approx(np.sqrt(2 / (9 * 16)), rel=0.05)

    def test_he_fan_in_of_up_conv_counts_the_whole_kernel(self):
        """The fan-in is 16 times the input channels, as in flax."""
        params = self.params(conv.UpConv, "he", 16, 48)
        np.testing.assert_array_equal(params["bias"], 0.0)
        assert float(jnp.std(params["kernel"])) == pytest.approx(np.sqrt(2 / (16 * 16)), rel=0.05)


def test_deep_stack_of_he_layers_preserves_the_scale():
    class Stack(nn.Module):
        @nn.compact
        def __call__(self, x):
            for _ in range(6):
                x = nn.relu(conv.Conv(24)(x))
            return x

    out, _ = Stack().init_with_output(jax.random.key(0, impl="rbg"), random(1, 16, 16, 24))
    assert 0.05 < float(jnp.std(out)) < 5


@pytest.mark.parametrize(
    ("init", "linen"),
    [("he", nn.initializers.he_normal()), ("torch", nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"))],
)
def test_kernels_drawn_as_matrices_equal_those_of_linen(key, init, linen):
    shape = (3, 3, 8, 5)
    drawn = conv.kernel_init(init)(key, shape, jnp.float32)
    np.testing.assert_array_equal(drawn, linen(key, shape, jnp.float32))
