"""Encoders that map a clip of music to an embedding of ten numbers: the paper's (figure 2), and one that generalizes.

The paper's last layer sees when something happens in a clip, has most of the parameters, and memorizes the training
clips. With the mean and the standard deviation over time instead (statistics pooling, Snyder et al. 2018), the
embedding does not depend on where in the music the clip begins.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from specjax.arrays import safe
from specjax.engine import bundle
from specjax.engine.bundle import Bundle
from specjax.nn.conv import bias_init, kernel_init
from specjax.nn.norm import BatchNormLeakyReLU
from specjax.nn.strided_conv import StridedConv, Window
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.mvnet.clip_augment import ClipAugmentConfig
from specjax.papers.mvnet.dataset import MuseumConfig
from specjax.papers.mvnet.representation import FRAMES, MELS, THIRDS
from specjax.papers.mvnet.triplets import TripletConfig

Mel = Float[Array, "batch 128 256 3"]
AnyMel = Mel | Float[np.ndarray, "batch 128 256 3"]
Embeddings = Float[Array, "batch embedding"]
Variables = dict[str, Any]

Pooling = Literal["none", "moments"]
POOLINGS = ("none", "moments")
PAPER_WIDTHS = (32, 64, 128, 256, 512, 1024)
# The paper's: Adam with these constants.
PAPER_OPTIMIZER = OptimizerConfig(learning_rate=ScheduleSpec(value=5e-5), b1=0.5)


@dataclass(frozen=True)
class EncoderConfig:
    """Settings of the task `mvnet/encoder`: a network embeds clips of the same era near each other.

    data: source of the music.
    widths: number of channels after each convolution; at most 7.
    pooling: what the last layer sees: `none` for the whole maps (the paper's), `moments` for the mean and the standard
      deviation of each band over time.
    embedding: size of the embedding.
    triplets: the loss.
    augment: random augmentation of the training clips, for the scale `log`.
    optimizer: optimizer, learning rate schedule and moving average of the parameters.
    """

    data: MuseumConfig = MuseumConfig()
    widths: tuple[int, ...] = PAPER_WIDTHS
    pooling: Pooling = "none"
    embedding: int = 10
    triplets: TripletConfig = TripletConfig()
    augment: ClipAugmentConfig = ClipAugmentConfig()
    optimizer: OptimizerConfig = PAPER_OPTIMIZER

    def __post_init__(self) -> None:
        if not 1 <= len(self.widths) <= 7 or min(*self.widths, self.embedding) < 1:
            raise ValueError(
                f"widths={self.widths} must name 1 to 7 convolutions with at least 1 channel, and "
                f"embedding={self.embedding} must be at least 1"
            )
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling={self.pooling!r} is unknown: choose one of {', '.join(POOLINGS)}")
        if self.augment.changes_clips and self.data.representation.scale != "log":
            raise ValueError(
                f"data.representation.scale={self.data.representation.scale!r} does not fit augment, which changes "
                "levels in dB: use log, or set every entry of augment to 0"
            )

    def resolve(self) -> "EncoderConfig":
        """Fill in the eras and the statistics of the training clips from the data source.

        Raises:
          UserError: the source is missing or has another layout.
        """
        from specjax.papers.mvnet.data import resolve

        return replace(self, data=resolve(self.data))


class Encoder(nn.Module):
    """Convolutions of 4x4 pixels and stride 2, each with batch normalization and ReLU, and a linear layer.

    All layers are initialized as in PyTorch, except for the biases before the normalization, which are zero and have no
    effect.

    Attributes:
      widths: number of channels after each convolution.
      pooling: see `EncoderConfig`.
      embedding: size of the embedding.
    """

    widths: tuple[int, ...] = PAPER_WIDTHS
    pooling: Pooling = "none"
    embedding: int = 10

    @nn.compact
    def __call__(self, values: Mel, training: bool = False, groups: int = 1) -> Embeddings:
        """Embed clips.

        Args:
          values: mel spectrograms, on the scale of the representation.
          training: whether to normalize by the statistics of the batch, whose running averages are the variables
            `batch_stats`. Otherwise the latter are used.
          groups: number of equal parts of the batch that are normalized separately, as if the network were applied to
            each part in turn.
        """
        x = values
        for i, width in enumerate(self.widths, 1):
            conv = StridedConv(width, (4, 4), Window((2, 2), (1, 1)), kernel_init=kernel_init("torch"), name=f"conv{i}")
            x = BatchNormLeakyReLU(0.0, groups=groups, name=f"norm{i}")(conv(x), training)
        if self.pooling == "moments":
            x = jnp.concatenate([jnp.mean(x, axis=2), safe.sqrt(jnp.var(x, axis=2))], axis=-1)
        x = x.reshape(len(x), -1)
        return nn.Dense(
            self.embedding, kernel_init=kernel_init("torch"), bias_init=bias_init("torch", x.shape[1]), name="embedding"
        )(x)


@dataclass(frozen=True)
class EncoderInference:
    """Methods that use an encoder. The network's variables are not stored here: methods take them as an argument.

    config: settings, with the eras and the statistics filled in.
    """

    config: EncoderConfig

    @cached_property
    def network(self) -> Encoder:
        """The network."""
        return Encoder(self.config.widths, self.config.pooling, self.config.embedding)

    def init(self, key: Key[Array, ""]) -> Variables:
        """Initialize the variables of the network: `params` and `batch_stats`."""
        return dict(self.network.init(key, jnp.zeros((1, MELS, FRAMES, THIRDS))))

    def embed(self, variables: Variables, values: Mel) -> Embeddings:
        """Embed clips, given as mel spectrograms on the scale of the representation."""
        return cast(Embeddings, self.network.apply(variables, values))

    def embed_power(self, variables: Variables, mel_power: Mel) -> Embeddings:
        """Embed clips, given as mel power."""
        return self.embed(variables, self.config.data.representation.encode(mel_power))

    def embed_in_batches(self, variables: Variables, values: AnyMel, size: int = 32) -> Embeddings:
        """Embed any number of clips, `size` at a time."""
        embed = jax.jit(self.embed)
        chunks = [embed(variables, values[start : start + size]) for start in range(0, len(values), size)]
        return jnp.concatenate(chunks)


def open_encoder(opened: Bundle, where: str) -> tuple[EncoderInference, Variables]:
    """Prepare a bundle of the task `mvnet/encoder` for inference, see `bundle.open_part`.

    Returns:
      The description of the network, and its variables.

    Raises:
      UserError: the bundle has another part than `encoder`, invalid settings, or tensors that do not fit.
    """
    return bundle.open_part(opened, where, "encoder", EncoderConfig, EncoderInference, EncoderInference.init)
