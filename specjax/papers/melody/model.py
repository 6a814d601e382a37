"""Class-conditional generator and discriminator of mel spectrograms, for training that converges.

Both are residual networks without normalization layers, as in R3GAN (Huang et al. 2024). Time is divided into columns
of frames, of which the generator makes as many as it is given local latent vectors (Musika, Pasini and Schlüter 2022).
For the default config, 128 bands and n columns of 16 frames (27 columns for 431 frames, after cropping):

| generator | shape | discriminator |
|---|---|---|
| latent vectors, 1-D residual blocks | 1 x n x 256 | 1-D residual blocks, mean over columns, score |
| residual block | 8 x n x 128 | residual block |
| 1x1 convolution, nearest neighbor x2; residual block | 16 x 2n x 64 | residual block; mean of 2x2, 1x1 convolution |
| 1x1 convolution, nearest neighbor x2; residual block | 32 x 4n x 32 | residual block; mean of 2x2, 1x1 convolution |
| 3x3 convolution | 32 x 4n x 16 | blocks of 4x4 pixels as channels, 3x3 convolution |
| blocks of 4x4 pixels, tanh | 128 x 16n x 1 | |

In the layout `channels`, bands are channels, and all convolutions run over time only: the maps have one row, and the
blocks are as high as the spectrogram.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from specjax.nn.residual import (
    Padding,
    Pair,
    ResidualBlock,
    SameConv,
    depth_to_space,
    leaky_relu,
    mean_pool,
    space_to_depth,
    upsample_nearest,
)

_BLOCK = 4  # height and width of the blocks of pixels that become channels, in bands and frames
_OUTPUT_GAIN = 0.5  # deviation of the generator's values before tanh at the start, close to that of real spectrograms


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of both networks.

    layout: `image` treats a spectrogram as an image of one channel, `channels` as a sequence with one channel per band.
      The latter needs greater widths, such as (256, 384, 512).
    bands: number of mel bands; for `image`, a multiple of `4 * 2 ** (len(widths) - 1)`.
    widths: number of channels at each resolution, from the finest to the coarsest.
    blocks: number of residual blocks at each resolution.
    trunk_width: number of channels of the 1-D blocks along time, at the coarsest resolution.
    trunk_blocks: number of 1-D blocks along time.
    whole_latents: number of latent variables of a piece.
    local_latents: number of latent variables of each column.
    """

    layout: Literal["image", "channels"] = "image"
    bands: int = 128
    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1
    trunk_width: int = 256
    trunk_blocks: int = 2
    whole_latents: int = 128
    local_latents: int = 32

    def __post_init__(self) -> None:
        if self.layout not in ("image", "channels"):
            raise ValueError(f"model.layout={self.layout!r} is unknown: choose image or channels")
        if not self.widths:
            raise ValueError("model.widths=() must name the width of at least one resolution")
        if min(*self.widths, self.bands, self.trunk_width, self.whole_latents, self.local_latents) < 1:
            raise ValueError("model.widths, bands, trunk_width, whole_latents and local_latents must be at least 1")
        if min(self.blocks, self.trunk_blocks) < 0:
            raise ValueError("model.blocks and trunk_blocks must not be negative")
        if self.layout == "image" and self.bands % self.column_frames:
            raise ValueError(
                f"model.bands={self.bands} must be a multiple of {self.column_frames} for {len(self.widths)} widths"
            )

    @property
    def column_frames(self) -> int:
        """Number of frames of a column."""
        return _BLOCK * 2 ** (len(self.widths) - 1)

    @property
    def _block(self) -> Pair:
        """Height and width of the blocks of values that become channels."""
        return (_BLOCK if self.layout == "image" else self.bands, _BLOCK)

    @property
    def _kernel(self) -> Pair:
        return (3 if self.layout == "image" else 1, 3)

    @property
    def _factors(self) -> Pair:
        """Ratio of the heights and of the widths of the maps of two resolutions."""
        return (2 if self.layout == "image" else 1, 2)

    @property
    def _coarse_rows(self) -> int:
        """Height of the maps of the coarsest resolution."""
        return self.bands // self.column_frames if self.layout == "image" else 1

    @property
    def _total_blocks(self) -> int:
        return len(self.widths) * self.blocks + self.trunk_blocks


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
    """Generator of mel spectrograms of any duration.

    Attributes:
      config: architecture.
      padding: padding along time. With `circular`, the last frame continues into the first one.
    """

    config: ModelConfig
    padding: Padding = "zeros"

    @nn.compact
    def __call__(
        self,
        latents: Latents,
        genre: Float[Array, "batch genres"],
        training: bool = False,
    ) -> Float[Array, "batch bands frames"]:
        """Generate pieces.

        Args:
          latents: latent variables.
          genre: share of each genre.
          training: has no effect, as there are no normalization layers.

        Returns:
          Values in [-1, 1]; there are `config.column_frames` frames for each column.
        """
        c = self.config
        piece = nn.Dense(c.trunk_width, name="whole")(latents.whole) + embed_genre(genre, c.trunk_width)
        x = nn.Dense(c.trunk_width, name="local")(latents.local) + piece[:, None, :]
        x = x[:, None, :, :] / jnp.sqrt(3.0)  # of three terms of variance 1
        x = _apply_blocks(x, (1, 3), c.trunk_blocks, "trunk", c, self.padding)
        x = depth_to_space(SameConv(c._coarse_rows * c.widths[-1], (1, 1), name="rows")(x), (c._coarse_rows, 1))
        for i in reversed(range(len(c.widths))):
            x = _apply_blocks(x, c._kernel, c.blocks, f"level{i}", c, self.padding)
            if i:
                x = upsample_nearest(SameConv(c.widths[i - 1], (1, 1), name=f"up{i}")(x), c._factors)
        height, width = c._block
        output = SameConv(height * width, c._kernel, _OUTPUT_GAIN, self.padding, name="output")
        return jnp.tanh(depth_to_space(output(leaky_relu(x)), c._block)[..., 0])


class Discriminator(nn.Module):
    """Discriminator of mel spectrograms of any duration: a projection discriminator (Miyato and Koyama 2018).

    Attributes:
      config: architecture.
    """

    config: ModelConfig

    @nn.compact
    def __call__(
        self,
        values: Float[Array, "batch bands frames"],
        genre: Float[Array, "batch genres"],
        training: bool = False,
    ) -> Float[Array, " batch"]:
        """Compute scores, higher for spectrograms that look real and of their genre.

        Args:
          values: spectrograms with values in [-1, 1]. The last frame is repeated to fill the last column.
          genre: share of each genre.
          training: has no effect, as there are no normalization layers.
        """
        c = self.config
        missing = -values.shape[2] % c.column_frames
        x = jnp.pad(values, ((0, 0), (0, 0), (0, missing)), mode="edge")[..., None]
        x = SameConv(c.widths[0], c._kernel, name="input")(space_to_depth(x, c._block))
        for i, width in enumerate(c.widths):
            if i:
                x = SameConv(width, (1, 1), name=f"down{i}")(mean_pool(x, c._factors))
            x = _apply_blocks(x, c._kernel, c.blocks, f"level{i}", c)
        x = SameConv(c.trunk_width, (1, 1), name="rows")(space_to_depth(x, (c._coarse_rows, 1)))
        x = _apply_blocks(x, (1, 3), c.trunk_blocks, "trunk", c)
        features = jnp.mean(leaky_relu(x), axis=(1, 2))
        projection = jnp.sum(features * embed_genre(genre, c.trunk_width), axis=1) / jnp.sqrt(float(c.trunk_width))
        return nn.Dense(1, name="score")(features)[:, 0] + projection


def embed_genre(genre: Array, width: int) -> Float[Array, "batch width"]:
    """Embed genres as vectors of variance 1. The function creates a layer of the module that calls it."""
    return nn.Dense(width, use_bias=False, kernel_init=nn.initializers.normal(1.0), name="genre")(genre)


def _apply_blocks(
    x: Array, kernel: Pair, count: int, name: str, config: ModelConfig, padding: Padding = "zeros"
) -> Array:
    """Apply residual blocks. The function creates layers of the module that calls it."""
    for i in range(count):
        x = ResidualBlock(kernel, config._total_blocks, padding, name=f"{name}_block{i}")(x)
    return x
