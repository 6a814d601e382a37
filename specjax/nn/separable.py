"""Output heads of networks that upsample a small feature map to a large image by matrix products along both axes.

No feature map with many channels is ever computed at the size of the image.
"""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.image import linear
from specjax.nn.conv import Init, bias_init, kernel_init

Map = Float[Array, "batch height width channels"]
Image = Float[Array, "batch size columns"]


class UpsampledConv(nn.Module):
    """Output head that upsamples a feature map, convolves it to one channel, and pools its columns.

    1. Each channel is upsampled bilinearly to `size` x `size` pixels.
    2. A 3x3 convolution with bias maps the channels to one channel.
    3. Average pooling reduces the width from `size` to `columns`.

    Attributes:
      size: height of the output.
      columns: width of the output; it divides `size`.
      initializer: initialization of kernel and bias: `torch` for PyTorch's defaults, `he` for He et al. 2015.
    """

    # `upsampled_conv` gives the result of these steps with about a hundredth of the arithmetic.

    size: int
    columns: int
    initializer: Init = "torch"

    @nn.compact
    def __call__(self, x: Map) -> Image:
        channels = x.shape[-1]
        kernel = self.param("kernel", kernel_init(self.initializer), (3, 3, channels, 1), jnp.float32)
        bias = self.param("bias", bias_init(self.initializer, 9 * channels), (1,), jnp.float32)
        return upsampled_conv(x.astype(jnp.float32), kernel, self.size, self.columns) + bias.reshape(1, 1, 1)


class RowHead(nn.Module):
    """Output head that upsamples the height by learned matrices and the width by a fixed matrix.

    The input is a batch of feature maps of `height` x `width` pixels, with any number of channels. The output has shape
    (batch, size, columns).

    1. A dense layer maps the channels of each pixel to `channels` channels.
    2. Each channel is upsampled from `height` to `size` rows by its own matrix of shape (size, height). The matrices
       are learned, and start as bilinear interpolation.
    3. Each channel is upsampled bilinearly from `width` to `size` columns.
    4. Average pooling reduces the width from `size` to `columns`.
    5. The channels are added up, and a learned bias is added.

    Attributes:
      size: height of the output.
      columns: width of the output; it divides `size`.
      channels: number of channels after the dense layer.
    """

    # Learned matrices can place an output maximum in any row. Upsampling followed by a convolution can place one only
    # about every `size / height` rows.

    size: int
    columns: int
    channels: int = 16

    @nn.compact
    def __call__(self, x: Map) -> Image:
        _, height, width, _ = x.shape
        bilinear = linear.resample_matrix(height, self.size)
        across = linear.mean_pool(linear.resample_matrix(width, self.size), self.columns)
        maps = nn.Dense(self.channels, name="mix")(x.astype(jnp.float32))
        rows = self.param("rows", lambda _: jnp.tile(jnp.asarray(bilinear), (self.channels, 1, 1)))
        bias = self.param("bias", nn.initializers.zeros, (1,), jnp.float32)
        lines = jnp.einsum("crh,bhwc->brw", rows, maps)
        return lines @ across.T + bias.reshape(1, 1, 1)


def upsampled_conv(x: Map, kernel: Float[Array, "3 3 channels 1"], size: int, columns: int) -> Image:
    """Upsample feature maps bilinearly, convolve them to one channel, and pool their columns.

    1. Each channel is upsampled to `size` x `size` pixels.
    2. A 3x3 convolution with zero padding maps the channels to one channel.
    3. Average pooling reduces the width from `size` to `columns`.

    Args:
      x: feature maps, of any height and width.
      kernel: 3x3 kernel to one output channel.
      size: height of the output.
      columns: width of the output; it divides `size`.

    Returns:
      Images of shape (batch, size, columns).
    """
    # All steps are linear, so they are computed in another order. Each of the nine taps of the kernel first maps the
    # channels to one channel, at the small size. The nine maps are then upsampled, shifted by the offsets of their
    # taps, pooled and added up, by two matrix products.
    batch, height, width, channels = x.shape
    taps = (x @ kernel.reshape(9, channels).T).reshape(batch, height, width, 3, 3)
    taps = taps.transpose(0, 3, 1, 4, 2).reshape(batch, 3 * height, 3 * width)
    rows = shift_by_taps(linear.resample_matrix(height, size))
    across = linear.mean_pool(shift_by_taps(linear.resample_matrix(width, size)), columns)
    return rows @ taps @ across.T


def shift_by_taps(upsample: Float[np.ndarray, "size n"]) -> Float[np.ndarray, "size n3"]:
    """Build the matrix that upsamples three signals, shifts them, and adds them up.

    The signals are the three taps of a convolution kernel, applied to the input. The first is shifted by one output
    point toward the end, the second is not shifted, and the third is shifted by one output point toward the start.
    Points that are shifted in are 0.

    Args:
      upsample: matrix that upsamples `n` points to `size` points.

    Returns:
      Matrix of shape (size, 3 n), to be multiplied by the concatenated signals.
    """
    padded = np.pad(upsample, ((1, 1), (0, 0)))
    return np.concatenate([padded[tap : tap + len(upsample)] for tap in range(3)], axis=1)
