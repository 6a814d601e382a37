"""Convolutions on NHWC maps, each in the form its backend runs fastest.

XLA's CPU convolutions are quick for stride 1 alone: the gradient of a transposed convolution's kernel costs about
thirty times its forward pass. There the transposed convolution is the equal sub-pixel form, one 3x3 convolution to
four times the channels and a rearrangement. GPUs and TPUs keep their own.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

Init = Literal["torch", "he"]
Form = Literal["subpixel", "native"]
LAYOUT = ("NHWC", "HWIO", "NHWC")


def kernel_init(init: Init) -> Callable:
    """`torch`: PyTorch's default, uniform within 1/sqrt(fan_in); `he`: normal of variance 2/fan_in (He et al. 2015)."""
    if init == "torch":
        return _as_matrix(nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"))
    return _as_matrix(nn.initializers.he_normal())


def bias_init(init: Init, fan_in: int) -> Callable:
    """PyTorch draws biases like kernels; otherwise they start at zero."""
    if init == "torch":
        bound = 1 / np.sqrt(fan_in)
        return _as_matrix(partial(jax.random.uniform, minval=-bound, maxval=bound))
    return nn.initializers.zeros


def _as_matrix(initialiser: Callable) -> Callable:
    """The same numbers, and the same fan-in, drawn with inputs as rows and outputs as columns.

    XLA's CPU compiler needs two seconds for random bits of rank 4 and a tenth of that for a matrix.
    """

    def init(key: Key[Array, ""], shape: Sequence[int], dtype: DTypeLike) -> Array:
        return initialiser(key, (math.prod(shape[:-1]), shape[-1]), dtype).reshape(shape)

    return init


class Conv(nn.Module):
    """Convolution of stride 1, "same" size, with bias. Parameters are float32, the product in `dtype`."""

    features: int
    side: int = 3
    initialiser: Init = "he"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height width f"]:
        fan_in = self.side**2 * x.shape[-1]
        shape = (self.side, self.side, x.shape[-1], self.features)
        kernel = self.param("kernel", kernel_init(self.initialiser), shape, jnp.float32)
        bias = self.param("bias", bias_init(self.initialiser, fan_in), (self.features,), jnp.float32)
        return conv(x.astype(self.dtype), kernel.astype(self.dtype)) + bias.astype(self.dtype).reshape(1, 1, 1, -1)


class UpConv(nn.Module):
    """Transposed convolution, 4x4, stride 2, padding 1: doubles both sides exactly."""

    features: int
    initialiser: Init = "he"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch h2 w2 f"]:
        shape = (4, 4, x.shape[-1], self.features)
        fan_in = 16 * (self.features if self.initialiser == "torch" else x.shape[-1])  # PyTorch counts the output side
        # linen would take the kernel's fan-in from its input side, which PyTorch does not.
        initialiser = bias_init("torch", fan_in) if self.initialiser == "torch" else kernel_init("he")
        kernel = self.param("kernel", initialiser, shape, jnp.float32)
        bias = self.param("bias", bias_init(self.initialiser, fan_in), (self.features,), jnp.float32)
        return up_conv(x.astype(self.dtype), kernel.astype(self.dtype)) + bias.astype(self.dtype).reshape(1, 1, 1, -1)


def conv(
    x: Float[Array, "batch height width channels"], kernel: Float[Array, "side side channels features"]
) -> Float[Array, "batch height width features"]:
    """Correlation with zero padding to equal size."""
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)


def up_conv(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "4 4 channels features"],
    form: Form | None = None,
) -> Float[Array, "batch height2 width2 features"]:
    """`out[o] = sum_i x[i] kernel[o + 1 - 2i]` along both axes. `form` None chooses by backend."""
    form = form or ("subpixel" if jax.default_backend() == "cpu" else "native")
    if form == "native":
        flipped = jnp.flip(kernel, (0, 1))
        return jax.lax.conv_general_dilated(
            x, flipped, (1, 1), [(2, 2), (2, 2)], lhs_dilation=(2, 2), dimension_numbers=LAYOUT
        )
    # Even outputs see the points m-1, m through taps 3, 1; odd outputs see m, m+1 through taps 2, 0.
    taps = np.zeros((2, 3, 4), np.float32)
    taps[0, [0, 1], [3, 1]] = 1
    taps[1, [1, 2], [2, 0]] = 1
    place = jnp.asarray(taps, kernel.dtype)
    phases = jnp.einsum("pay,qbx,yxio->abipqo", place, place, kernel)
    batch, height, width, _ = x.shape
    features = kernel.shape[-1]
    y = conv(x, phases.reshape(3, 3, -1, 4 * features)).reshape(batch, height, width, 2, 2, features)
    return y.transpose(0, 1, 3, 2, 4, 5).reshape(batch, 2 * height, 2 * width, features)
