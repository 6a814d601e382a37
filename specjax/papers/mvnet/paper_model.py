"""Generator and discriminator of the paper (figure 2, sections 3.2.1 and 3.2.2), with the settings of its code.

All shapes are (height, width, channels).

| generator | shape | discriminator | shape |
|---|---|---|---|
| latent vector and embedding | 110 | picture | 64x64x3 |
| linear | 4x4x1024 | convolution 4x4, stride 2 | 32x32x64 |
| block | 8x8x512 | convolution 4x4, stride 2 | 16x16x128 |
| block | 16x16x256 | convolution 4x4, stride 2 | 8x8x256 |
| block, self-attention | 32x32x128 | convolution 4x4, stride 2 | 4x4x512 |
| block, self-attention | 64x64x64 | convolution 3x3 | 4x4x1024 |
| convolution 3x3, tanh | 64x64x3 | linear | 1 |

A block is bilinear upsampling by 2, a 3x3 convolution, instance normalization without parameters, and LeakyReLU. The
discriminator has LeakyReLU after each convolution and batch normalization after each but the first. It is not
conditioned on the embedding.
"""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from specjax.nn.attention import SelfAttention
from specjax.nn.bilinear_conv import BilinearConv
from specjax.nn.conv import as_matrix, bias_init, kernel_init
from specjax.nn.norm import BatchNormLeakyReLU, batch_norm_leaky_relu
from specjax.nn.residual import LEAKY_SLOPE, leaky_relu
from specjax.nn.strided_conv import StridedConv, Window

LATENT = 100
GENERATOR_WIDTHS = (1024, 512, 256, 128, 64)
DISCRIMINATOR_WIDTHS = (64, 128, 256, 512, 1024)
_ATTENTION_FROM = 32  # height of the smallest maps that have self-attention
_COARSE = 4  # height and width of the coarsest maps
_HALVE = Window((2, 2), (1, 1))
_SAME = Window((1, 1), (1, 1))

Pictures = Float[Array, "batch height width 3"]


def xavier_normal(key: Key[Array, ""], shape: Sequence[int], dtype: DTypeLike) -> Array:
    """Draw kernels of convolutions, or matrices, as `torch.nn.init.xavier_normal_` does (Glorot and Bengio 2010)."""
    deviation = math.sqrt(2 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1])))
    return as_matrix(nn.initializers.normal(deviation))(key, shape, dtype)


class PaperGenerator(nn.Module):
    """Generator of pictures in [-1, 1].

    Attributes:
      widths: number of channels of the maps, from the coarsest to the finest.
    """

    widths: tuple[int, ...] = GENERATOR_WIDTHS

    @nn.compact
    def __call__(self, latents: Float[Array, "batch latent"], embedding: Float[Array, "batch embedding"]) -> Pictures:
        """Generate pictures from latent vectors, normally distributed, and the embeddings of clips."""
        x = jnp.concatenate([latents, embedding], axis=1)
        dense = _linear(_COARSE**2 * self.widths[0], x.shape[1], "input")
        x = leaky_relu(dense(x)).reshape(-1, _COARSE, _COARSE, self.widths[0])
        for i, width in enumerate(self.widths[1:], 1):
            x = normalize_instances(BilinearConv(width, xavier_normal, name=f"conv{i}")(x))
            if x.shape[1] >= _ATTENTION_FROM:
                x = SelfAttention(xavier_normal, name=f"attention{i}")(x)
        return jnp.tanh(StridedConv(3, (3, 3), _SAME, kernel_init=xavier_normal, name="output")(x))


class PaperDiscriminator(nn.Module):
    """Discriminator of pictures in [-1, 1].

    The scales of the batch normalization start at 1. In the authors' code they are normally distributed around 1 with a
    standard deviation of 0.02.

    Attributes:
      widths: number of channels after each convolution.
    """

    widths: tuple[int, ...] = DISCRIMINATOR_WIDTHS

    @nn.compact
    def __call__(self, pictures: Pictures, training: bool = False) -> Float[Array, " batch"]:
        """Compute logits of whether pictures are real.

        Args:
          pictures: pictures.
          training: whether to normalize by the statistics of the batch, whose running averages are the variables
            `batch_stats`. Otherwise the latter are used.
        """
        x = pictures
        for i, width in enumerate(self.widths, 1):
            kernel, window = ((4, 4), _HALVE) if i < len(self.widths) else ((3, 3), _SAME)
            x = StridedConv(width, kernel, window, kernel_init=xavier_normal, name=f"conv{i}")(x)
            x = leaky_relu(x) if i == 1 else BatchNormLeakyReLU(LEAKY_SLOPE, name=f"norm{i}")(x, training)
        x = x.reshape(len(x), -1)
        return _linear(1, x.shape[1], "score")(x)[:, 0]


def normalize_instances(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height width channels"]:
    """Normalize each channel of each map to mean 0 and variance 1, and apply LeakyReLU (Ulyanov et al. 2016)."""
    one, zero = jnp.ones(x.shape[-1]), jnp.zeros(x.shape[-1])
    return jax.vmap(lambda single: batch_norm_leaky_relu(single[None], one, zero, LEAKY_SLOPE)[0][0])(x)


def _linear(features: int, inputs: int, name: str) -> nn.Dense:
    """Create a linear layer that is initialized as in PyTorch."""
    return nn.Dense(features, kernel_init=kernel_init("torch"), bias_init=bias_init("torch", inputs), name=name)
