"""Output heads that turn a small map into a large image by matrix products, without large intermediate maps."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.image import linear
from specjax.nn.conv import Init, bias_init, kernel_init

Map = Float[Array, "batch height width channels"]
Image = Float[Array, "batch size columns"]


class UpsampledConv(nn.Module):
    """Bilinear upsampling to `size` x `size`, then a 3x3 convolution to one channel, without the large maps.

    Both steps are linear, so the channels are contracted first. This gives nine maps, one for each kernel tap. Each is
    multiplied by the upsampling matrix shifted by its tap. The result is that of the literal order, at a hundredth of
    the work.

    Attributes:
      size: height of the output image, and its width before averaging.
      columns: width of the output image. If it is below `size`, groups of adjacent columns are averaged.
      initializer: see `kernel_init` and `bias_init`.
    """

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
    """Head with learned row matrices and a fixed column matrix: `Y = sum_c A_c D_c B'`.

    Each channel `D_c` of the mixed map has its own row matrix `A_c`, initialized to bilinear upsampling. An output
    maximum can therefore be in any row. With upsampling and convolution it can be only about every `size / height`
    rows. `B` upsamples bilinearly to `size` columns and averages groups of adjacent columns to `columns`.

    Attributes:
      size: height of the output image, and its width before averaging.
      columns: width of the output image.
      channels: number of mixed channels, each with its own row matrix.
    """

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
    """Compute `conv(bilinear(x), kernel)` with zero padding, at the resolution of `x`.

    Args:
      x: input map.
      kernel: 3x3 kernel to one channel.
      size: height of the output, and its width before averaging.
      columns: width of the output; groups of adjacent columns are averaged.
    """
    batch, height, width, channels = x.shape
    taps = (x @ kernel.reshape(9, channels).T).reshape(batch, height, width, 3, 3)
    taps = taps.transpose(0, 3, 1, 4, 2).reshape(batch, 3 * height, 3 * width)
    rows = _shift_by_taps(linear.resample_matrix(height, size))
    across = linear.mean_pool(_shift_by_taps(linear.resample_matrix(width, size)), columns)
    return rows @ taps @ across.T


def _shift_by_taps(upsample: Float[np.ndarray, "size n"]) -> Float[np.ndarray, "size n3"]:
    """Concatenate the upsampling matrix as shifted by each of the three kernel taps, with zeros beyond the borders."""
    padded = np.pad(upsample, ((1, 1), (0, 0)))
    return np.concatenate([padded[tap : tap + len(upsample)] for tap in range(3)], axis=1)
