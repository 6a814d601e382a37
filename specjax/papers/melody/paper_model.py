"""Generators and discriminators of the paper's three approaches (sections 3.4 and 3.5), after DCGAN.

The paper gives the hidden channels and the sizes of input and output. Its kernels and strides are in figures that are
lost; those below give exactly the paper's sizes. All shapes are (height, width, channels).

| approach | generator | kernel, stride, padding |
|---|---|---|
| `images`: the pictures of the data set, RGBA, Tanh | 1x1x100 -> 18x27x64 | 18x27, 1, 0 |
| | -> 36x54x32 | 4x4, 2, 1 |
| | -> 72x108x16 | 4x4, 2, 1 |
| | -> 288x432x4 | 8x8, 4, 2 |
| `tanh`: the second, mel spectrograms, Tanh | 1x1x100 -> 8x27x64 | 8x27, 1, 0 |
| | -> 16x54x32 | 4x4, 2, 1 |
| | -> 32x108x16 | 4x4, 2, 1 |
| | -> 128x431x1 | 6x5, 4, 1 |
| `relu`: the third, mel spectrograms, ReLU | 1x1x100 -> 16x16x64 | 16x16, 1, 0 |
| | -> 32x48x32 | 4x5, 2x3, 1 |
| | -> 64x144x16 | 4x5, 2x3, 1 |
| | -> 128x431x1 | 4x4, 2x3, 1 |

The discriminator has the same kernels in reverse order, and also 64, 32 and 16 channels: that of `relu` maps 128x431x1
to 64x144x64, 32x48x32, 16x16x16 and 1x1x1.
"""

from typing import Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.nn.norm import BatchNormLeakyReLU
from specjax.nn.strided_conv import Pair, StridedConv, TransposedConv, Window

Approach = Literal["images", "tanh", "relu"]
LATENT = 100
HIDDEN = (64, 32, 16)
LEAKY_SLOPE = 0.2
_KERNEL_INIT = nn.initializers.normal(0.02)


class Layer(NamedTuple):
    """Kernel of a transposed convolution of the generator, and of its mirror image in the discriminator.

    kernel: height and width of the kernel.
    window: stride and padding.
    size: height and width of the larger map: output of the generator's layer, input of the discriminator's.
    """

    kernel: Pair
    window: Window
    size: Pair


class Architecture(NamedTuple):
    """Architecture of both networks of an approach.

    layers: layers of the generator from the latent vector to the output.
    channels: number of channels of the output.
    activation: last activation of the generator.
    """

    layers: tuple[Layer, ...]
    channels: int
    activation: Literal["tanh", "relu"]


_DOUBLE = Window((2, 2), (1, 1))
_DOUBLE_TRIPLE = Window((2, 3), (1, 1))
_FIRST = Window((1, 1), (0, 0))
ARCHITECTURES: dict[Approach, Architecture] = {
    "images": Architecture(
        (
            Layer((18, 27), _FIRST, (18, 27)),
            Layer((4, 4), _DOUBLE, (36, 54)),
            Layer((4, 4), _DOUBLE, (72, 108)),
            Layer((8, 8), Window((4, 4), (2, 2)), (288, 432)),
        ),
        channels=4,
        activation="tanh",
    ),
    "tanh": Architecture(
        (
            Layer((8, 27), _FIRST, (8, 27)),
            Layer((4, 4), _DOUBLE, (16, 54)),
            Layer((4, 4), _DOUBLE, (32, 108)),
            Layer((6, 5), Window((4, 4), (1, 1)), (128, 431)),
        ),
        channels=1,
        activation="tanh",
    ),
    "relu": Architecture(
        (
            Layer((16, 16), _FIRST, (16, 16)),
            Layer((4, 5), _DOUBLE_TRIPLE, (32, 48)),
            Layer((4, 5), _DOUBLE_TRIPLE, (64, 144)),
            Layer((4, 4), _DOUBLE_TRIPLE, (128, 431)),
        ),
        channels=1,
        activation="relu",
    ),
}


class PaperGenerator(nn.Module):
    """Generator: four transposed convolutions, the first three with batch normalization and ReLU.

    Attributes:
      approach: approach of the paper, see the module.
    """

    approach: Approach = "relu"

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], training: bool = False
    ) -> Float[Array, "batch height width channels"]:
        """Generate images.

        Args:
          z: latent vectors of `LATENT` numbers, normally distributed.
          training: whether to normalize by the statistics of the batch, whose running averages are the variables
            `batch_stats`. Otherwise the latter are used.

        Returns:
          Images, in [-1, 1] or, for `relu`, not negative.
        """
        architecture = ARCHITECTURES[self.approach]
        x = z[:, None, None, :]
        for i, (layer, width) in enumerate(zip(architecture.layers, (*HIDDEN, architecture.channels), strict=True), 1):
            last = i == len(architecture.layers)
            x = TransposedConv(width, layer.kernel, layer.window, last, _KERNEL_INIT, name=f"conv{i}")(x)
            assert x.shape[1:] == (*layer.size, width)
            if not last:
                x = BatchNormLeakyReLU(0.0, name=f"norm{i}")(x, training)
        return jnp.tanh(x) if architecture.activation == "tanh" else nn.relu(x)


class PaperDiscriminator(nn.Module):
    """Discriminator: four convolutions, the first three with batch normalization and LeakyReLU.

    Attributes:
      approach: approach of the paper, see the module.
      batch_norm: whether to apply batch normalization, as in the paper; otherwise all convolutions have a bias.
    """

    approach: Approach = "relu"
    batch_norm: bool = True

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], training: bool = False
    ) -> Float[Array, " batch"]:
        """Compute scores, which are trained to be 1 for real images and 0 for generated ones.

        Args:
          x: images, of the size of the approach.
          training: whether to normalize by the statistics of the batch, see `PaperGenerator`.
        """
        architecture = ARCHITECTURES[self.approach]
        for i, (layer, width) in enumerate(zip(architecture.layers[::-1], (*HIDDEN, 1), strict=True), 1):
            assert x.shape[1:3] == layer.size
            last = i == len(architecture.layers)
            use_bias = last or not self.batch_norm
            x = StridedConv(width, layer.kernel, layer.window, use_bias, _KERNEL_INIT, name=f"conv{i}")(x)
            if not last and self.batch_norm:
                x = BatchNormLeakyReLU(LEAKY_SLOPE, name=f"norm{i}")(x, training)
            elif not last:
                x = nn.leaky_relu(x, LEAKY_SLOPE)
        return x.reshape(-1)
