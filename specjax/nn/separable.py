"""Heads that bring a small map to a large picture through matrices instead of large maps."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.image import linear
from specjax.nn.conv import Init, bias_init, kernel_init

Map = Float[Array, "batch height width channels"]
Picture = Float[Array, "batch size columns"]


class UpsampledConv(nn.Module):
    """Bilinear upsampling to `size` x `size`, then a 3x3 convolution to one channel, without the large maps.

    With `columns` below `size` the picture's columns are averaged in groups to so many, which is linear too.

    Both are linear, so the channels are contracted first: nine 1x1-convolved maps, each pushed through the
    upsampling matrix shifted by its tap. The same numbers as the literal order, at a hundredth of the work.
    """

    size: int
    columns: int
    initialiser: Init = "torch"

    @nn.compact
    def __call__(self, x: Map) -> Picture:
        channels = x.shape[-1]
        kernel = self.param("kernel", kernel_init(self.initialiser), (3, 3, channels, 1), jnp.float32)
        bias = self.param("bias", bias_init(self.initialiser, 9 * channels), (1,), jnp.float32)
        return upsampled_conv(x.astype(jnp.float32), kernel, self.size, self.columns) + bias.reshape(1, 1, 1)


class RowHead(nn.Module):
    """Learned rows, fixed columns: `Y = sum_c A_c D_c B'`.

    Each channel of the map has its own row matrix `A_c`, started at bilinear upsampling, so that a maximum can
    stand in any row; upsampled-and-convolved maps can place one about every `size / height` rows. `B` is bilinear,
    to `size` columns averaged in groups to `columns`.
    """

    size: int
    columns: int
    channels: int = 16

    @nn.compact
    def __call__(self, x: Map) -> Picture:
        _, height, width, _ = x.shape
        bilinear = linear.resample_matrix(height, self.size)
        across = linear.mean_pool(linear.resample_matrix(width, self.size), self.columns)
        maps = nn.Dense(self.channels, name="mix")(x.astype(jnp.float32))
        rows = self.param("rows", lambda _: jnp.tile(jnp.asarray(bilinear), (self.channels, 1, 1)))
        bias = self.param("bias", nn.initializers.zeros, (1,), jnp.float32)
        lines = jnp.einsum("crh,bhwc->brw", rows, maps)
        return lines @ across.T + bias.reshape(1, 1, 1)


def upsampled_conv(x: Map, kernel: Float[Array, "3 3 channels 1"], size: int, columns: int) -> Picture:
    """`conv(bilinear(x), kernel)` with zero padding, computed at the size of `x`; columns averaged to `columns`."""
    batch, height, width, channels = x.shape
    taps = (x @ kernel.reshape(9, channels).T).reshape(batch, height, width, 3, 3)
    taps = taps.transpose(0, 3, 1, 4, 2).reshape(batch, 3 * height, 3 * width)
    down = _shifted(linear.resample_matrix(height, size))
    across = linear.mean_pool(_shifted(linear.resample_matrix(width, size)), columns)
    return down @ taps @ across.T


def _shifted(upsample: Float[np.ndarray, "size n"]) -> Float[np.ndarray, "size n3"]:
    """The upsampling matrix as each of a convolution's three taps sees it, zero past the borders."""
    padded = np.pad(upsample, ((1, 1), (0, 0)))
    return np.concatenate([padded[tap : tap + len(upsample)] for tap in range(3)], axis=1)
