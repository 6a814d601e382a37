"""Class-conditional generator and discriminator of waves, small enough to train on a CPU.

Both follow WaveGAN (Donahue, McAuley and Puckette 2019): convolutions of stride 4, and phase shuffle in the
discriminator. To take fewer operations, the outermost layer has a stride of 16 samples. As in `melody.model`, time is
divided into columns, one for each local latent vector. For the default config and n columns of 4096 samples (54 columns
for 10 s, after cropping):

| generator | shape | discriminator |
|---|---|---|
| latent vectors, 1-D residual blocks | n x 192 | 1-D residual blocks, mean over columns, score |
| transposed convolution, stride 4 | 4n x 128 | convolution, stride 4 |
| transposed convolution, stride 4 | 16n x 96 | convolution, stride 4 |
| transposed convolution, stride 4 | 64n x 48 | convolution, stride 4 |
| transposed convolution, stride 4 | 256n x 32 | convolution, stride 4 |
| transposed convolution, stride 16, tanh | 4096n x 1 | convolution, stride 16 |

A strided convolution is computed as a convolution of stride 1 over blocks of samples, with the samples of a block as
channels; a transposed convolution likewise. This is fast on CPU, gradients included.
"""

from dataclasses import dataclass
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from specjax.nn.phase_shuffle import phase_shuffle
from specjax.nn.residual import LEAKY_GAIN, ResidualBlock, SameConv, depth_to_space, leaky_relu, space_to_depth
from specjax.papers.melody.model import Latents, embed_genre

_STRIDE = 4
_BLOCK = 16  # stride of the outermost layer, in samples
_LEVEL = 0.2  # initial RMS amplitude of waves, close to that of music

Waves = Float[Array, "batch samples"]


@dataclass(frozen=True)
class WaveModelConfig:
    """Architecture of both networks.

    widths: number of channels at each resolution, from the finest, with 16 samples a step, to the coarsest. Each is 4
      times as coarse as the one before it.
    kernel: width of the kernels, in strides; odd.
    trunk_blocks: number of residual blocks along time, at the coarsest resolution.
    whole_latents: number of latent variables of a piece.
    local_latents: number of latent variables of each column.
    max_shift: largest shift of phase shuffle, in steps of each resolution; 0 for none.
    """

    widths: tuple[int, ...] = (32, 48, 96, 128, 192)
    kernel: int = 3
    trunk_blocks: int = 2
    whole_latents: int = 128
    local_latents: int = 32
    max_shift: int = 2

    def __post_init__(self) -> None:
        if not self.widths:
            raise ValueError("model.widths=() must name the width of at least one resolution")
        if min(*self.widths, self.whole_latents, self.local_latents) < 1:
            raise ValueError("model.widths, whole_latents and local_latents must be at least 1")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"model.kernel={self.kernel} must be odd and at least 1")
        if min(self.trunk_blocks, self.max_shift) < 0:
            raise ValueError("model.trunk_blocks and max_shift must not be negative")

    @property
    def column_samples(self) -> int:
        """Number of samples of a column."""
        return _BLOCK * _STRIDE ** (len(self.widths) - 1)

    @property
    def reach_columns(self) -> int:
        """Number of columns on either side of a column whose latent vectors its samples depend on."""
        steps = self.kernel // 2 * sum(_STRIDE**i for i in range(len(self.widths)))
        return 2 * self.trunk_blocks + -(-steps // _STRIDE ** (len(self.widths) - 1))


class WaveGenerator(nn.Module):
    """Generator of waves of any duration.

    Attributes:
      config: architecture.
    """

    config: WaveModelConfig

    @nn.compact
    def __call__(self, latents: Latents, genre: Float[Array, "batch genres"]) -> Waves:
        """Generate pieces.

        Args:
          latents: latent variables.
          genre: share of each genre.

        Returns:
          Waves in [-1, 1]; there are `config.column_samples` samples for each column.
        """
        c, width = self.config, self.config.widths[-1]
        piece = nn.Dense(width, name="whole")(latents.whole) + embed_genre(genre, width)
        x = nn.Dense(width, name="local")(latents.local) + piece[:, None, :]
        x = x[:, None, :, :] / jnp.sqrt(3.0)  # of three terms of variance 1
        for i in range(c.trunk_blocks):
            x = ResidualBlock((1, 3), c.trunk_blocks, name=f"trunk_block{i}")(x)
        for i in reversed(range(1, len(c.widths))):
            x = SameConv(_STRIDE * c.widths[i - 1], (1, c.kernel), LEAKY_GAIN, name=f"up{i}")(leaky_relu(x))
            x = depth_to_space(x, (1, _STRIDE))
        blocks = SameConv(_BLOCK, (1, c.kernel), LEAKY_GAIN, name="output")(leaky_relu(x))
        return cast(Waves, jnp.tanh(_LEVEL * depth_to_space(blocks, (1, _BLOCK))[:, 0, :, 0]))


class WaveDiscriminator(nn.Module):
    """Discriminator of waves of any duration: a projection discriminator (Miyato and Koyama 2018).

    Attributes:
      config: architecture.
    """

    config: WaveModelConfig

    @nn.compact
    def __call__(
        self, wave: Waves, genre: Float[Array, "batch genres"], key: Key[Array, ""] | None = None
    ) -> Float[Array, " batch"]:
        """Compute scores, higher for waves that sound real and of their genre.

        Args:
          wave: waves in [-1, 1] of at least one column. A remainder that does not fill a column is dropped.
          genre: share of each genre.
          key: random key of phase shuffle. None: maps are not shifted.
        """
        c = self.config
        used = wave.shape[1] // c.column_samples * c.column_samples
        x = wave[:, None, :used, None] / _LEVEL
        x = SameConv(c.widths[0], (1, c.kernel), name="input")(space_to_depth(x, (1, _BLOCK)))
        for i, width in enumerate(c.widths[1:], 1):
            if key is not None and c.max_shift:
                x = phase_shuffle(jax.random.fold_in(key, i), x, c.max_shift)
            x = space_to_depth(leaky_relu(x), (1, _STRIDE))
            x = SameConv(width, (1, c.kernel), LEAKY_GAIN, name=f"down{i}")(x)
        for i in range(c.trunk_blocks):
            x = ResidualBlock((1, 3), c.trunk_blocks, name=f"trunk_block{i}")(x)
        features = jnp.mean(leaky_relu(x), axis=(1, 2))
        width = features.shape[1]
        projection = jnp.sum(features * embed_genre(genre, width), axis=1) / jnp.sqrt(float(width))
        return nn.Dense(1, name="score")(features)[:, 0] + projection
