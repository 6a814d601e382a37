"""Convolutions on NHWC maps, each in the form that its backend runs fastest.

XLA's CPU convolutions are fast for stride 1 only: the kernel gradient of a transposed convolution costs about thirty
times its forward pass. On CPU the transposed convolution is therefore computed in the equivalent sub-pixel form: one
3x3 convolution to four times the channels, then a rearrangement. GPUs and TPUs use the native form.
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
    """Create an initializer for kernels.

    `torch` is PyTorch's default: uniform in +-1/sqrt(fan_in). `he` is normal with variance 2/fan_in (He et al. 2015).
    """
    if init == "torch":
        return _as_matrix(nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"))
    return _as_matrix(nn.initializers.he_normal())


def bias_init(init: Init, fan_in: int) -> Callable:
    """Create an initializer for biases: `torch` is uniform in +-1/sqrt(fan_in) as in PyTorch, `he` is zero."""
    if init == "torch":
        bound = 1 / np.sqrt(fan_in)
        return _as_matrix(partial(jax.random.uniform, minval=-bound, maxval=bound))
    return nn.initializers.zeros


def _as_matrix(initializer: Callable) -> Callable:
    """Wrap an initializer so that it draws a matrix (inputs x outputs) and reshapes it.

    The values and the fan-in stay the same. XLA's CPU compiler needs two seconds for random bits of rank 4, and a
    tenth of that for a matrix.
    """

    def init(key: Key[Array, ""], shape: Sequence[int], dtype: DTypeLike) -> Array:
        return initializer(key, (math.prod(shape[:-1]), shape[-1]), dtype).reshape(shape)

    return init


class Conv(nn.Module):
    """Convolution with bias, stride 1 and "same" padding.

    Parameters are float32; the computation is in `dtype`.

    Attributes:
      features: number of output channels.
      side: side of the square kernel.
      initializer: see `kernel_init` and `bias_init`.
      dtype: type of the computation and of the output.
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
    """Transposed 4x4 convolution with bias, stride 2 and padding 1; it doubles both sides exactly.

    Parameters are float32; the computation is in `dtype`.

    Attributes:
      features: number of output channels.
      initializer: see `kernel_init` and `bias_init`.
      dtype: type of the computation and of the output.
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
    """Cross-correlate with zero padding, so that the output has the size of the input."""
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)


def up_conv(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "4 4 channels features"],
    form: Form | None = None,
) -> Float[Array, "batch height2 width2 features"]:
    """Compute the transposed convolution `out[o] = sum_i x[i] kernel[o + 1 - 2i]` along both axes.

    Args:
      x: input map.
      kernel: 4x4 kernel.
      form: how to compute it; both forms give the same result.
        None selects `subpixel` on CPU and `native` elsewhere.
    """
    form = form or ("subpixel" if jax.default_backend() == "cpu" else "native")
    if form == "native":
        flipped = jnp.flip(kernel, (0, 1))
        return jax.lax.conv_general_dilated(
            x, flipped, (1, 1), [(2, 2), (2, 2)], lhs_dilation=(2, 2), dimension_numbers=LAYOUT
        )
    # Even outputs 2m use inputs m-1 and m with taps 3 and 1; odd outputs 2m+1 use m and m+1 with taps 2 and 0.
    taps = np.zeros((2, 3, 4), np.float32)
    taps[0, [0, 1], [3, 1]] = 1
    taps[1, [1, 2], [2, 0]] = 1
    selector = jnp.asarray(taps, kernel.dtype)
    phases = jnp.einsum("pay,qbx,yxio->abipqo", selector, selector, kernel)
    batch, height, width, _ = x.shape
    features = kernel.shape[-1]
    y = conv(x, phases.reshape(3, 3, -1, 4 * features)).reshape(batch, height, width, 2, 2, features)
    return y.transpose(0, 1, 3, 2, 4, 5).reshape(batch, 2 * height, 2 * width, features)
