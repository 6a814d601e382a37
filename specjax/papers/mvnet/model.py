"""Residual generator and discriminator of pictures, without normalization layers, for training that converges.

As in R3GAN (Huang et al. 2024). For the default widths, all shapes are (height, width, channels):

| generator | shape | discriminator |
|---|---|---|
| latent vector and condition, linear | 4 x 4 x 128 | standard deviation over the batch, linear, score |
| residual blocks | 4 x 4 x 128 | residual blocks |
| 1x1 convolution, nearest neighbor x2, residual blocks | 8 x 8 x 96 | mean of 2x2, 1x1 convolution, residual blocks |
| 1x1 convolution, nearest neighbor x2, residual blocks | 16 x 16 x 64 | mean of 2x2, 1x1 convolution, residual blocks |
| 1x1 convolution, nearest neighbor x2, residual blocks | 32 x 32 x 32 | 2x2 pixels as channels, 3x3 convolution |
| 3x3 convolution, blocks of 2x2 pixels, tanh | 64 x 64 x 3 | |

The generator adds a linear map of the latent vector and the condition to the maps of each resolution.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.nn.residual import (
    ResidualBlock,
    SameConv,
    depth_to_space,
    leaky_relu,
    mean_pool,
    space_to_depth,
    upsample_nearest,
)
from specjax.papers.mvnet.dataset import PICTURE_SIZE

_BLOCK = (2, 2)  # pixels of the pictures that become channels
_DOUBLE = (2, 2)
_KERNEL = (3, 3)
_OUTPUT_GAIN = 0.5  # initial standard deviation of the generator's output before tanh, close to that of real pictures
GROUP = 4  # pictures over which the standard deviation is computed

Maps = Float[Array, "batch height width channels"]
Pictures = Float[Array, "batch 64 64 3"]
Conditions = Float[Array, "batch condition"]


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of both networks.

    widths: number of channels at each resolution, from the finest (32 x 32) to the coarsest.
    blocks: number of residual blocks at each resolution.
    latents: number of latent variables.
    features: number of features from which the discriminator computes the score.
    projection: whether the discriminator is conditioned: its score then includes the inner product of its features with
      a linear map of the condition (Miyato and Koyama 2018).
    batch_deviation: whether the discriminator sees the standard deviation over the pictures of a batch (Karras et al.
      2018). The batch size must then be a multiple of 4.
    """

    widths: tuple[int, ...] = (32, 64, 96, 128)
    blocks: int = 1
    latents: int = 64
    features: int = 256
    projection: bool = True
    batch_deviation: bool = True

    def __post_init__(self) -> None:
        if not 1 <= len(self.widths) <= 6:
            raise ValueError(f"model.widths={self.widths} must name the widths of 1 to 6 resolutions")
        if min(*self.widths, self.latents, self.features) < 1 or self.blocks < 0:
            raise ValueError(
                f"model.widths={self.widths}, latents={self.latents} and features={self.features} must be at least 1, "
                f"and model.blocks={self.blocks} must not be negative"
            )

    @property
    def coarse(self) -> int:
        """Height and width of the coarsest maps."""
        return PICTURE_SIZE // _BLOCK[0] // 2 ** (len(self.widths) - 1)

    @property
    def total_blocks(self) -> int:
        """Number of residual blocks of a network."""
        return max(len(self.widths) * self.blocks, 1)


class Generator(nn.Module):
    """Generator of pictures in [-1, 1].

    Attributes:
      config: architecture.
    """

    config: ModelConfig

    @nn.compact
    def __call__(self, latents: Float[Array, "batch latents"], condition: Conditions) -> Pictures:
        """Generate pictures from latent vectors, normally distributed, and from the conditions of clips."""
        c = self.config
        style = leaky_relu(nn.Dense(c.features, name="latents")(latents) + project_condition(condition, c.features))
        x = nn.Dense(c.coarse**2 * c.widths[-1], name="input")(style).reshape(-1, c.coarse, c.coarse, c.widths[-1])
        for i in reversed(range(len(c.widths))):
            x = x + nn.Dense(c.widths[i], name=f"style{i}")(style)[:, None, None]
            x = _apply_blocks(x, f"level{i}", c)
            if i:
                x = upsample_nearest(SameConv(c.widths[i - 1], (1, 1), name=f"up{i}")(x), _DOUBLE)
        output = SameConv(3 * _BLOCK[0] * _BLOCK[1], _KERNEL, _OUTPUT_GAIN, name="output")
        return jnp.tanh(depth_to_space(output(leaky_relu(x)), _BLOCK))


class Discriminator(nn.Module):
    """Discriminator of pictures in [-1, 1].

    Attributes:
      config: architecture.
    """

    config: ModelConfig

    @nn.compact
    def __call__(self, pictures: Pictures, condition: Conditions) -> Float[Array, " batch"]:
        """Compute scores, higher for pictures that look real and match the condition of a clip."""
        c = self.config
        x = SameConv(c.widths[0], _KERNEL, name="input")(space_to_depth(pictures, _BLOCK))
        for i, width in enumerate(c.widths):
            if i:
                x = SameConv(width, (1, 1), name=f"down{i}")(mean_pool(x, _DOUBLE))
            x = _apply_blocks(x, f"level{i}", c)
        x = leaky_relu(x)
        if c.batch_deviation:
            x = append_batch_deviation(x)
        features = leaky_relu(nn.Dense(c.features, name="features")(x.reshape(len(x), -1)))
        score = nn.Dense(1, name="score")(features)[:, 0]
        if not c.projection:
            return score
        return score + jnp.sum(features * project_condition(condition, c.features), axis=1) / jnp.sqrt(
            float(c.features)
        )


def project_condition(condition: Conditions, features: int) -> Float[Array, "batch features"]:
    """Map conditions linearly to vectors. The function creates a layer of the module that calls it."""
    return nn.Dense(features, use_bias=False, name="condition")(condition)


def append_batch_deviation(x: Maps, group: int = GROUP) -> Float[Array, "batch height width channels_1"]:
    """Append a channel with the standard deviation over groups of maps, averaged over all positions and channels.

    Args:
      x: feature maps. Successive examples form a group.
      group: maximum size of a group. The largest size up to it that divides the batch is used.
    """
    group = max(size for size in range(1, min(group, len(x)) + 1) if len(x) % size == 0)
    grouped = x.reshape(-1, group, *x.shape[1:])
    deviation = jnp.mean(safe.sqrt(jnp.var(grouped, axis=1)), axis=(1, 2, 3))
    channel = jnp.broadcast_to(jnp.repeat(deviation, group)[:, None, None, None], (*x.shape[:3], 1))
    return jnp.concatenate([x, channel], axis=3)


def _apply_blocks(x: Maps, name: str, config: ModelConfig) -> Maps:
    """Apply residual blocks. The function creates layers of the module that calls it."""
    for i in range(config.blocks):
        x = ResidualBlock(_KERNEL, config.total_blocks, name=f"{name}_block{i}")(x)
    return x
