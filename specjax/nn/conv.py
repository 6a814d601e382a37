"""Convolutions on NHWC feature maps, with an implementation of the transposed convolution that is fast on CPU.

On CPU, XLA is fast only for convolutions of stride 1: the kernel gradient of a transposed convolution takes about
thirty times as long as its forward pass. On CPU the transposed convolution is therefore replaced by a sub-pixel
convolution, which has the same result: a 3x3 convolution to four times as many channels, then a rearrangement of every
four channels as 2x2 pixels. GPUs and TPUs use XLA's own transposed convolution.
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
Implementation = Literal["subpixel", "native"]
LAYOUT = ("NHWC", "HWIO", "NHWC")


def kernel_init(init: Init) -> Callable:
    """Create a flax initializer for convolution kernels.

    Args:
      init: `torch` is PyTorch's default, uniform in [-1/sqrt(fan_in), 1/sqrt(fan_in)]. `he` is a truncated normal
        distribution with variance 2/fan_in (He et al. 2015).
    """
    if init == "torch":
        return as_matrix(nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"))
    return as_matrix(nn.initializers.he_normal())


def bias_init(init: Init, fan_in: int) -> Callable:
    """Create a flax initializer for the biases of a convolution.

    Args:
      init: `torch` is PyTorch's default, uniform in [-1/sqrt(fan_in), 1/sqrt(fan_in)]. `he` is zero.
      fan_in: number of inputs of each output of the convolution.
    """
    if init == "torch":
        bound = 1 / np.sqrt(fan_in)
        return as_matrix(partial(jax.random.uniform, minval=-bound, maxval=bound))
    return nn.initializers.zeros


def as_matrix(initializer: Callable) -> Callable:
    """Wrap an initializer so that it draws a matrix, which is then reshaped to the shape of the parameter.

    The distribution of the values does not change.
    """
    # XLA's CPU compiler needs two seconds for random bits of rank 4, and a tenth of that for a matrix. The matrix has
    # the shape (fan_in, outputs), so a variance-scaling initializer finds the same fan-in as for the parameter.

    def init(key: Key[Array, ""], shape: Sequence[int], dtype: DTypeLike) -> Array:
        return initializer(key, (math.prod(shape[:-1]), shape[-1]), dtype).reshape(shape)

    return init


class Conv(nn.Module):
    """Two-dimensional convolution with bias, stride 1 and "same" zero padding.

    Attributes:
      features: number of output channels.
      side: height and width of the kernel, in pixels.
      initializer: initialization of kernel and bias: `torch` for PyTorch's defaults, `he` for He et al. 2015.
      dtype: dtype of the computation and of the output. The parameters are float32.
    """

    features: int
    side: int = 3
    initializer: Init = "he"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height width f"]:
        fan_in = self.side**2 * x.shape[-1]
        shape = (self.side, self.side, x.shape[-1], self.features)
        kernel = self.param("kernel", kernel_init(self.initializer), shape, jnp.float32)
        bias = self.param("bias", bias_init(self.initializer, fan_in), (self.features,), jnp.float32)
        return conv(x.astype(self.dtype), kernel.astype(self.dtype)) + bias.astype(self.dtype).reshape(1, 1, 1, -1)


class UpConv(nn.Module):
    """Transposed convolution with a 4x4 kernel, bias, stride 2 and padding 1. It doubles height and width.

    Attributes:
      features: number of output channels.
      initializer: initialization of kernel and bias: `torch` for PyTorch's defaults, `he` for He et al. 2015.
      dtype: dtype of the computation and of the output. The parameters are float32.
    """

    features: int
    initializer: Init = "he"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch h2 w2 f"]:
        shape = (4, 4, x.shape[-1], self.features)
        # PyTorch takes the fan-in of a transposed convolution from its output channels, linen from its input channels.
        fan_in = 16 * (self.features if self.initializer == "torch" else x.shape[-1])
        init = bias_init("torch", fan_in) if self.initializer == "torch" else kernel_init("he")
        kernel = self.param("kernel", init, shape, jnp.float32)
        bias = self.param("bias", bias_init(self.initializer, fan_in), (self.features,), jnp.float32)
        return up_conv(x.astype(self.dtype), kernel.astype(self.dtype)) + bias.astype(self.dtype).reshape(1, 1, 1, -1)


def conv(
    x: Float[Array, "batch height width channels"], kernel: Float[Array, "side side channels features"]
) -> Float[Array, "batch height width features"]:
    """Convolve a batch of maps with a kernel (as cross-correlation), with stride 1 and "same" zero padding."""
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)


def up_conv(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "4 4 channels features"],
    implementation: Implementation | None = None,
) -> Float[Array, "batch height2 width2 features"]:
    """Compute the transposed convolution with stride 2 and padding 1, which doubles height and width.

    Along each axis the output at position o is `sum_i x[i] kernel[o + 1 - 2i]`.

    Args:
      x: input maps.
      kernel: kernel of 4x4 pixels.
      implementation: all have the same result. `native` is XLA's transposed convolution. `subpixel` is a 3x3
        convolution followed by a rearrangement of channels to pixels. None selects `subpixel` on CPU, else `native`.
    """
    implementation = implementation or ("subpixel" if jax.default_backend() == "cpu" else "native")
    if implementation == "native":
        flipped = jnp.flip(kernel, (0, 1))
        return jax.lax.conv_general_dilated(
            x, flipped, (1, 1), [(2, 2), (2, 2)], lhs_dilation=(2, 2), dimension_numbers=LAYOUT
        )
    # Output 2m is the sum of inputs m-1 and m times taps 3 and 1. Output 2m+1 is the sum of inputs m and m+1 times taps
    # 2 and 0.
    taps = np.zeros((2, 3, 4), np.float32)
    taps[0, [0, 1], [3, 1]] = 1
    taps[1, [1, 2], [2, 0]] = 1
    selector = jnp.asarray(taps, kernel.dtype)
    phases = jnp.einsum("pay,qbx,yxio->abipqo", selector, selector, kernel)
    batch, height, width, _ = x.shape
    features = kernel.shape[-1]
    y = conv(x, phases.reshape(3, 3, -1, 4 * features)).reshape(batch, height, width, 2, 2, features)
    return y.transpose(0, 1, 3, 2, 4, 5).reshape(batch, 2 * height, 2 * width, features)
