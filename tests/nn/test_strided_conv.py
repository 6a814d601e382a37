"""Strided and transposed convolutions against XLA's: values, gradients and second derivatives."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.nn import strided_conv as module
from specjax.nn.conv import LAYOUT
from specjax.nn.strided_conv import StridedConv, TransposedConv, Window, strided_conv, transposed_conv

# Size of the larger map, channels, kernel, stride, padding: overlapping kernels, kernels smaller than the stride, one
# output pixel, a rest of pixels that no kernel covers, and few or many channels per block.
CASES = {
    "overlap": ((8, 13), 3, (4, 5), (2, 3), (1, 1)),
    "few_channels": ((8, 13), 1, (4, 4), (2, 3), (1, 1)),
    "stride_1": ((6, 7), 3, (3, 3), (1, 1), (1, 1)),
    "one_pixel": ((5, 6), 3, (5, 6), (1, 1), (0, 0)),
    "one_row": ((4, 9), 2, (4, 3), (2, 2), (0, 1)),
    "gaps": ((9, 10), 3, (2, 3), (3, 4), (0, 1)),
}
FEATURES = 8


def random(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def make(case):
    """Larger map, kernel and window of a case."""
    size, channels, kernel, stride, padding = CASES[case]
    return random(2, *size, channels), random(*kernel, channels, FEATURES, seed=1), Window(stride, padding)


def strided_oracle(x, kernel, window):
    padding = [(p, p) for p in window.padding]
    return jax.lax.conv_general_dilated(x, kernel, window.stride, padding, dimension_numbers=LAYOUT)


def transposed_oracle(x, kernel, window):
    padding = [(side - 1 - p,) * 2 for side, p in zip(kernel.shape[:2], window.padding, strict=True)]
    return jax.lax.conv_transpose(x, kernel[::-1, ::-1], window.stride, padding, dimension_numbers=LAYOUT)


def derivatives(convolve, x, kernel, window):
    """Values, gradients, and gradients of a function of the gradients."""

    def loss(x, kernel):
        return jnp.mean(convolve(x, kernel, window) ** 2)

    def penalty(x, kernel):
        return sum(jnp.sum(g**2) for g in jax.grad(loss, (0, 1))(x, kernel))

    return convolve(x, kernel, window), jax.grad(loss, (0, 1))(x, kernel), jax.grad(penalty, (0, 1))(x, kernel)


def assert_close(actual, expected):
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, e, atol=2e-5 * float(jnp.abs(e).max()))


@pytest.mark.parametrize("case", CASES)
def test_both_convolutions_equal_those_of_lax_with_two_derivatives(case):
    x, kernel, window = make(case)

    @jax.jit
    def compute(x, kernel):
        y = strided_oracle(x, kernel, window)
        pairs = (
            (strided_conv, strided_oracle, x, kernel),
            (transposed_conv, transposed_oracle, y, kernel.swapaxes(2, 3)),
        )
        return [[derivatives(f, *args, window) for f in (ours, oracle)] for ours, oracle, *args in pairs]

    for actual, expected in compute(x, kernel):
        assert_close(actual, expected)


@pytest.mark.parametrize("case", CASES)
def test_native_implementation_has_the_same_values(case):
    x, kernel, window = make(case)
    y = strided_conv(x, kernel, window, "native")
    assert_close(y, strided_oracle(x, kernel, window))
    kernel = kernel.swapaxes(2, 3)
    assert_close(transposed_conv(y, kernel, window, "native"), transposed_oracle(y, kernel, window))


def test_transposed_convolution_follows_its_formula():
    x, kernel, window = random(1, 2, 3, 2), random(4, 5, 2, 3, seed=1), Window((2, 3), (1, 1))
    expected = np.zeros((1, 4, 9, 3))
    for oy, ox, iy, ix in np.ndindex(4, 9, 2, 3):
        ky, kx = oy + 1 - 2 * iy, ox + 1 - 3 * ix
        if 0 <= ky < 4 and 0 <= kx < 5:
            expected[:, oy, ox] += np.asarray(x[:, iy, ix], float) @ np.asarray(kernel[ky, kx], float)
    np.testing.assert_allclose(transposed_conv(x, kernel, window), expected, atol=1e-5)


@pytest.mark.parametrize(("backend", "adjoint"), [("cpu", True), ("gpu", False), ("tpu", False)])
def test_gradients_are_those_of_xla_except_on_cpu(backend, adjoint, monkeypatch):
    monkeypatch.setattr(module.jax, "default_backend", lambda: backend)
    x, kernel, window = make("overlap")
    for convolve in (strided_conv, transposed_conv):
        gradient = jax.grad(lambda x, k, convolve=convolve: jnp.sum(convolve(x, k, window)))
        program = str(jax.make_jaxpr(gradient)(x, kernel if convolve is strided_conv else random(4, 5, 3, 4)))
        assert ("lhs_dilation=(2, 3)" not in program) == adjoint


def test_modules_have_a_kernel_and_optionally_a_bias():
    x, window = random(2, 4, 6, 3), Window((2, 3), (1, 1))
    for layer, shape in (
        (StridedConv(5, (4, 5), window, kernel_init=nn.initializers.constant(0.1)), (2, 2, 2, 5)),
        (TransposedConv(5, (4, 5), window, kernel_init=nn.initializers.constant(0.1)), (2, 8, 18, 5)),
    ):
        y, variables = layer.init_with_output(jax.random.key(0), x)
        params = variables["params"]
        assert y.shape == shape
        assert params["kernel"].shape == (4, 5, 3, 5)
        shifted = layer.apply({"params": params | {"bias": jnp.arange(5.0)}}, x)
        np.testing.assert_allclose(shifted - y, jnp.broadcast_to(jnp.arange(5.0), shape), atol=1e-5)
        bare = layer.clone(use_bias=False)
        np.testing.assert_array_equal(bare.apply({"params": {"kernel": params["kernel"]}}, x), y)
