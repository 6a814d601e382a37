"""Bilinear upsampling to twice the size followed by a 3x3 convolution, with a quarter of the arithmetic.

Both are linear, so their order may change: each of the nine taps of the kernel is first applied to the small map, in
one matrix product. The nine results are then upsampled, shifted by the offsets of their taps, and added up, by one
small matrix for the rows and one for the columns.
"""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.image import linear
from specjax.nn.separable import shift_by_taps

Maps = Float[Array, "batch height width channels"]
Upsampled = Float[Array, "batch height2 width2 features"]


class BilinearConv(nn.Module):
    """Bilinear upsampling of height and width by 2, and a 3x3 convolution with bias and zero padding.

    Attributes:
      features: number of output channels.
      kernel_init: initializer of the kernel, of shape (3, 3, channels, features).
    """

    features: int
    kernel_init: Callable = nn.initializers.he_normal()

    @nn.compact
    def __call__(self, x: Maps) -> Upsampled:
        kernel = self.param("kernel", self.kernel_init, (3, 3, x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return bilinear_conv(x, kernel) + bias.reshape(1, 1, 1, -1)


def bilinear_conv(x: Maps, kernel: Float[Array, "3 3 channels features"]) -> Upsampled:
    """Upsample maps bilinearly by 2 (with half-pixel centers), and convolve them with a kernel, with zero padding."""
    batch, height, width, channels = x.shape
    features = kernel.shape[-1]
    taps = x.reshape(-1, channels) @ kernel.transpose(2, 0, 1, 3).reshape(channels, -1)
    # (batch, tap row and row, column, tap column and feature)
    taps = taps.reshape(batch, height, width, 3, 3 * features).transpose(0, 3, 1, 2, 4)
    rows = shift_by_taps(linear.resample_matrix(height, 2 * height))
    y = jnp.asarray(rows) @ taps.reshape(batch, 3 * height, width * 3 * features)
    # (batch, output row, tap column and column, feature)
    y = y.reshape(batch, 2 * height, width, 3, features).swapaxes(2, 3).reshape(batch, 2 * height, 3 * width, features)
    return jnp.asarray(shift_by_taps(linear.resample_matrix(width, 2 * width))) @ y
