"""Parts of residual networks without normalization layers, for NHWC feature maps.

The branches of residual blocks are zero at the start, and their first convolutions are scaled by the number of blocks
of the network (Fixup, Zhang et al. 2019), so that activations and gradients keep their scale at any depth.
"""

import math
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.nn.conv import LAYOUT, as_matrix

Pair = tuple[int, int]
Maps = Float[Array, "batch height width channels"]
Padding = Literal["zeros", "circular"]

LEAKY_SLOPE = 0.2
LEAKY_GAIN = math.sqrt(2 / (1 + LEAKY_SLOPE**2))  # of a convolution after a LeakyReLU, to keep the variance


def leaky_relu(x: Array) -> Array:
    """Apply LeakyReLU with a negative slope of 0.2."""
    return nn.leaky_relu(x, LEAKY_SLOPE)


class SameConv(nn.Module):
    """Convolution with bias and stride 1 that keeps height and width.

    Attributes:
      features: number of output channels.
      kernel_size: height and width of the kernel, in pixels; both are odd.
      gain: standard deviation of the outputs at the start, for independent inputs of variance 1. 0 starts at zero.
      padding: padding of the width with zeros, or `circular`, by which first and last column are neighbors. The height
        is padded with zeros.
    """

    features: int
    kernel_size: Pair
    gain: float = 1.0
    padding: Padding = "zeros"

    @nn.compact
    def __call__(self, x: Maps) -> Float[Array, "batch height width features"]:
        init = as_matrix(nn.initializers.variance_scaling(self.gain**2, "fan_in", "normal"))
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", init if self.gain else nn.initializers.zeros, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        rows, columns = (side // 2 for side in self.kernel_size)
        if self.padding == "circular":
            x = jnp.pad(x, ((0, 0), (0, 0), (columns, columns), (0, 0)), mode="wrap")
            columns = 0
        edges = [(rows, rows), (columns, columns)]
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), edges, dimension_numbers=LAYOUT) + bias.reshape(
            1, 1, 1, -1
        )


class ResidualBlock(nn.Module):
    """Residual block: the input plus a branch of two convolutions, each after a LeakyReLU.

    Attributes:
      kernel_size: height and width of the kernels, in pixels; both are odd.
      blocks: number of residual blocks of the network.
      padding: padding of the convolutions, see `SameConv`.
    """

    kernel_size: Pair
    blocks: int
    padding: Padding = "zeros"

    @nn.compact
    def __call__(self, x: Maps, scale: Float[Array, "batch 1 1 channels"] | None = None) -> Maps:
        """Apply the block. `scale` multiplies the channels of the branch's input; None leaves them as they are."""
        width = x.shape[-1]
        gain = LEAKY_GAIN / math.sqrt(self.blocks)
        start = leaky_relu(x) if scale is None else leaky_relu(x) * scale
        branch = SameConv(width, self.kernel_size, gain, self.padding, name="conv1")(start)
        return x + SameConv(width, self.kernel_size, 0.0, self.padding, name="conv2")(leaky_relu(branch))


def space_to_depth(x: Maps, block: Pair) -> Float[Array, "batch rows columns block_channels"]:
    """Arrange the pixels of each block of `block` pixels as channels. The blocks divide height and width."""
    batch, height, width, channels = x.shape
    rows, columns = height // block[0], width // block[1]
    x = x.reshape(batch, rows, block[0], columns, block[1], channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, rows, columns, block[0] * block[1] * channels)


def depth_to_space(x: Float[Array, "batch rows columns block_channels"], block: Pair) -> Maps:
    """Arrange channels as blocks of `block` pixels: the inverse of `space_to_depth`."""
    batch, rows, columns, _ = x.shape
    x = x.reshape(batch, rows, columns, *block, -1).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, rows * block[0], columns * block[1], -1)


def upsample_nearest(x: Maps, factors: Pair) -> Float[Array, "batch height2 width2 channels"]:
    """Repeat each pixel `factors[0]` times along the height and `factors[1]` times along the width."""
    batch, height, width, channels = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None, :], (batch, height, factors[0], width, factors[1], channels))
    return x.reshape(batch, height * factors[0], width * factors[1], channels)


def mean_pool(x: Maps, factors: Pair) -> Float[Array, "batch height2 width2 channels"]:
    """Average blocks of `factors` pixels. They divide height and width."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // factors[0], factors[0], width // factors[1], factors[1], channels)
    return jnp.mean(x, axis=(2, 4))
