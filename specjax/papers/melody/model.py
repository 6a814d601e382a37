"""Class-conditional generator and discriminator of mel spectrograms, for training that converges.

Both are residual networks over time without normalization layers, as in R3GAN (Huang et al. 2024). A spectrogram is a
sequence of blocks of 4 frames, each represented by 512 coefficients (see `blocks`). Four blocks form a column. The
generator produces one column for each local latent vector (as in Musika, Pasini and Schlüter 2022). For n columns (27
for 431 frames, after cropping) and a width of w channels:

| generator | shape | discriminator |
|---|---|---|
| latent vectors of the columns; residual blocks | n x w | residual blocks; mean and deviation over columns, score |
| nearest neighbor x4, parts of the latent vectors; residual blocks | 4n x w | residual blocks; mean of 4 |
| convolution | 4n x 512 | 1x1 convolution |

The latent vector of the piece and the genre scale the maps of the generator's residual blocks (as in StyleGAN 2, Karras
et al. 2020).
"""

from dataclasses import dataclass
from typing import NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from specjax.nn.residual import (
    LEAKY_GAIN,
    Padding,
    ResidualBlock,
    SameConv,
    leaky_relu,
    mean_pool,
    upsample_nearest,
)
from specjax.papers.melody.representation import MELS

BLOCK_FRAMES = 4
COEFFICIENTS = BLOCK_FRAMES * MELS  # coefficients of a block
COLUMN_BLOCKS = 4
COLUMN_FRAMES = COLUMN_BLOCKS * BLOCK_FRAMES

_KERNEL = (1, 3)
_BLOCK_LATENTS_GAIN = 0.3  # initial standard deviation of what parts of the latent vectors add to each block
_STYLE_GAIN = 0.3  # initial standard deviation of the scales of the maps
_EPSILON = 1e-4  # added to variances over time before the square root

Coefficients = Float[Array, "batch blocks coefficients"]
Shares = Float[Array, "batch genres"]


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of both networks.

    width: number of channels of the generator.
    discriminator_width: number of channels of the discriminator.
    column_depth: number of residual blocks of columns, in each network.
    block_depth: number of residual blocks of blocks, in each network.
    whole_latents: number of latent variables of a piece.
    local_latents: number of latent variables of each column; a multiple of 4, because each block gets a quarter of
      them.
    """

    width: int = 128
    discriminator_width: int = 128
    column_depth: int = 2
    block_depth: int = 2
    whole_latents: int = 64
    local_latents: int = 32

    def __post_init__(self) -> None:
        if min(self.width, self.discriminator_width, self.whole_latents, self.local_latents) < 1:
            raise ValueError("model.width, discriminator_width, whole_latents and local_latents must be at least 1")
        if min(self.column_depth, self.block_depth) < 0:
            raise ValueError("model.column_depth and block_depth must not be negative")
        if self.local_latents % COLUMN_BLOCKS:
            raise ValueError(f"model.local_latents={self.local_latents} must be a multiple of {COLUMN_BLOCKS}")


class Latents(NamedTuple):
    """Latent variables of pieces of music, normally distributed.

    Attributes:
      whole: variables of the whole piece.
      local: variables of each column.
    """

    whole: Float[Array, "batch whole"]
    local: Float[Array, "batch columns local"]


def draw_latents(keys: Key[Array, " batch"], whole: int, local: int, columns: int) -> Latents:
    """Draw the latent variables of pieces, one for each key.

    Args:
      keys: random keys of the pieces.
      whole: number of variables of a piece.
      local: number of variables of each column.
      columns: number of columns.
    """

    def draw(key: Key[Array, ""]) -> Latents:
        whole_key, local_key = jax.random.split(key)
        return Latents(jax.random.normal(whole_key, (whole,)), jax.random.normal(local_key, (columns, local)))

    return jax.vmap(draw)(keys)


class Generator(nn.Module):
    """Generator of blocks of mel spectrograms of any duration.

    Attributes:
      config: architecture.
      padding: padding along time. With `circular`, the last block continues into the first one.
    """

    config: ModelConfig
    padding: Padding = "zeros"

    @nn.compact
    def __call__(self, latents: Latents, genre: Shares, training: bool = False) -> Coefficients:
        """Generate pieces.

        Args:
          latents: latent variables.
          genre: share of each genre.
          training: not used, because there are no normalization layers.

        Returns:
          Coefficients of 4 blocks for each column, with a variance of about 1 at initialization.
        """
        c = self.config
        batch, columns, local = latents.local.shape
        piece = (nn.Dense(c.width, name="whole")(latents.whole) + embed_genre(genre, c.width)) / jnp.sqrt(2.0)
        style = LEAKY_GAIN * leaky_relu(nn.Dense(c.width, name="style")(piece))
        x = (nn.Dense(c.width, name="columns")(latents.local) + piece[:, None, :]) / jnp.sqrt(2.0)
        x = self._apply_blocks(x[:, None], style, c.column_depth, "column")
        parts = latents.local.reshape(batch, 1, columns * COLUMN_BLOCKS, local // COLUMN_BLOCKS)
        x = upsample_nearest(x, (1, COLUMN_BLOCKS)) + _BLOCK_LATENTS_GAIN * nn.Dense(c.width, name="blocks")(parts)
        x = self._apply_blocks(x, style, c.block_depth, "block")
        x = leaky_relu(x) * scale_maps(style, c.width, "style_output")
        return cast(Coefficients, SameConv(COEFFICIENTS, _KERNEL, LEAKY_GAIN, self.padding, name="output")(x)[:, 0])

    def _apply_blocks(self, x: Array, style: Array, count: int, name: str) -> Array:
        c = self.config
        for i in range(count):
            scale = scale_maps(style, c.width, f"style_{name}{i}")
            x = ResidualBlock(_KERNEL, c.column_depth + c.block_depth, self.padding, name=f"{name}{i}")(x, scale)
        return x


class Discriminator(nn.Module):
    """Discriminator of blocks of mel spectrograms of any duration: a projection discriminator (Miyato and Koyama 2018).

    Attributes:
      config: architecture.
    """

    config: ModelConfig

    @nn.compact
    def __call__(self, coefficients: Coefficients, genre: Shares, training: bool = False) -> Float[Array, " batch"]:
        """Compute scores, higher for spectrograms that look real and of their genre.

        Args:
          coefficients: coefficients of the blocks of whole columns.
          genre: share of each genre.
          training: has no effect, as there are no normalization layers.
        """
        c, width = self.config, self.config.discriminator_width
        depth = c.column_depth + c.block_depth
        x = SameConv(width, (1, 1), name="input")(coefficients[:, None])
        for i in range(c.block_depth):
            x = ResidualBlock(_KERNEL, depth, name=f"block{i}")(x)
        x = mean_pool(x, (1, COLUMN_BLOCKS))
        for i in range(c.column_depth):
            x = ResidualBlock(_KERNEL, depth, name=f"column{i}")(x)
        x = leaky_relu(x)[:, 0]
        moments = [jnp.mean(x, axis=1), jnp.sqrt(jnp.var(x, axis=1) + _EPSILON)]
        features = leaky_relu(nn.Dense(width, name="features")(jnp.concatenate(moments, axis=1)))
        projection = jnp.sum(features * embed_genre(genre, width), axis=1) / jnp.sqrt(float(width))
        return nn.Dense(1, name="score")(features)[:, 0] + projection


def embed_genre(genre: Array, width: int) -> Float[Array, "batch width"]:
    """Embed genres as vectors of variance 1, by a layer that is created in the calling module."""
    return nn.Dense(width, use_bias=False, kernel_init=nn.initializers.normal(1.0), name="genre")(genre)


def scale_maps(style: Float[Array, "batch style"], width: int, name: str) -> Float[Array, "batch 1 1 width"]:
    """Compute scales of maps, near 1, from a style, by a layer that is created in the calling module."""
    init = nn.initializers.variance_scaling(_STYLE_GAIN**2, "fan_in", "normal")
    return 1.0 + nn.Dense(width, kernel_init=init, name=name)(style)[:, None, None, :]
