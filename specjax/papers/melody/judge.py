"""Judge of music: a classifier of genres, used only to evaluate generated music, in its embedding.

It is trained on real clips and on noise with the same moments. It is independent of the discriminator of a GAN.
"""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from specjax.engine import bundle
from specjax.engine.bundle import Bundle
from specjax.nn.pool import global_max_pool, max_pool
from specjax.nn.time_conv import TimeConv
from specjax.optim.optimizer import OptimizerConfig
from specjax.papers.melody.representation import FRAMES, MELS, Representation
from specjax.papers.melody.tracks import MusicConfig


@dataclass(frozen=True)
class JudgeConfig:
    """Settings of the task `melody/judge`: a network classifies the mel spectrograms of clips by genre.

    data: source of the music.
    representation: how mel spectrograms are scaled.
    widths: number of channels of the first convolution and of each residual block.
    dropout: dropout rate of the embedding during training.
    max_gain_db: largest random change of a clip's level.
    mixup: parameter alpha of the beta distribution of mixup; 0 disables it.
    time_masks, mel_masks: number of masked bands of frames and of mel bands.
    noise: fraction of each batch that is noise with the moments of a genre (see `noise.draw_noise`), as an additional
      class. Above 0, the judge cannot rely on mean spectra alone. 0: there is no noise class.
    optimizer: optimizer, learning rate schedule and moving average of the parameters.
    """

    data: MusicConfig = MusicConfig()
    representation: Representation = Representation()
    widths: tuple[int, ...] = (128, 128, 128, 128)
    dropout: float = 0.2
    max_gain_db: float = 6.0
    mixup: float = 0.2
    time_masks: int = 1
    mel_masks: int = 1
    noise: float = 0.0
    optimizer: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"widths={self.widths} must name at least one convolution with at least 1 channel")
        if not 0 <= self.dropout < 1 or min(self.max_gain_db, self.mixup, self.time_masks, self.mel_masks) < 0:
            raise ValueError(
                f"dropout={self.dropout} must lie in [0, 1), max_gain_db={self.max_gain_db}, mixup={self.mixup}, "
                f"time_masks={self.time_masks} and mel_masks={self.mel_masks} must be at least 0"
            )
        if not 0 <= self.noise < 1:
            raise ValueError(f"noise={self.noise} must lie in [0, 1)")
        if self.representation.scale != "db":
            raise ValueError(f"representation.scale={self.representation.scale!r} must be 'db' for a judge")

    @property
    def classes(self) -> int:
        """Number of classes: the genres and, if `noise` is above 0, noise."""
        return len(self.data.genres) + (self.noise > 0)

    def resolve(self) -> "JudgeConfig":
        """Fill in the genres and the statistics of the training clips from the data source.

        Raises:
          UserError: the source is missing or has another layout.
        """
        from specjax.papers.melody.data import resolve

        data, representation = resolve(self.data, self.representation)
        return replace(self, data=data, representation=representation)


class Verdict(NamedTuple):
    """Output of the judge.

    Attributes:
      logits: logits of the genres and, if there is one, of the noise class.
      embedding: the features from which the logits are computed.
    """

    logits: Float[Array, "batch classes"]
    embedding: Float[Array, "batch features"]


class Judge(nn.Module):
    """Convolutions over time with mel bands as channels, in residual blocks; mean and maximum over time.

    Attributes:
      widths: number of channels of the first convolution and of each residual block.
      dropout: dropout rate of the embedding. Training needs the Flax RNG stream `dropout`.
      classes: number of classes, see `JudgeConfig.classes`.
    """

    widths: tuple[int, ...]
    dropout: float
    classes: int

    @nn.compact
    def __call__(self, values: Float[Array, "batch mels frames"], training: bool = False) -> Verdict:
        norm = partial(nn.BatchNorm, use_running_average=not training, momentum=0.9)
        x = TimeConv(self.widths[0], 5, name="conv0")(jnp.swapaxes(values, 1, 2))
        x = max_pool(nn.relu(norm(name="norm0")(x)), (1,))
        for i, width in enumerate(self.widths[1:], 1):
            y = nn.relu(norm(name=f"norm{i}a")(TimeConv(width, 3, name=f"conv{i}a")(x)))
            y = norm(name=f"norm{i}b")(TimeConv(width, 3, name=f"conv{i}b")(y))
            shortcut = x if x.shape[-1] == width else TimeConv(width, 1, name=f"conv{i}s")(x)
            x = max_pool(nn.relu(shortcut + y), (1,))
        embedding = jnp.mean(x, axis=1) + global_max_pool(x)
        dropped = nn.Dropout(self.dropout, deterministic=not training)(embedding)
        return Verdict(nn.Dense(self.classes, name="genre")(dropped), embedding)


@dataclass(frozen=True)
class JudgeInference:
    """Methods that use a judge. The network's variables are not stored here: methods take them as an argument.

    config: settings, with the names of the genres and the statistics filled in.
    """

    config: JudgeConfig

    @cached_property
    def network(self) -> Judge:
        """The network."""
        return Judge(self.config.widths, self.config.dropout, self.config.classes)

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Initialize the variables of the network: `params` and `batch_stats`."""
        return dict(self.network.init({"params": key}, jnp.zeros((1, MELS, FRAMES))))

    def judge(self, variables: Any, mel_power: Float[Array, "batch mels frames"]) -> Verdict:
        """Apply the network to clips, given as mel power."""
        return cast(Verdict, self.network.apply(variables, self.config.representation.encode(mel_power)))

    def guess(self, verdict: Verdict) -> Int[Array, " batch"]:
        """Return the index of the most probable genre of each clip, ignoring the noise class."""
        return jnp.argmax(verdict.logits[:, : len(self.config.data.genres)], axis=1)

    def is_noise(self, verdict: Verdict) -> Bool[Array, " batch"]:
        """Return whether each clip is classified as noise; always False without a noise class."""
        return jnp.argmax(verdict.logits, axis=1) >= len(self.config.data.genres)


def open_judge(opened: Bundle, where: str) -> tuple[JudgeInference, Any]:
    """Prepare a bundle of the task `melody/judge` for inference, see `bundle.open_part`.

    Returns:
      The description of the network, and its variables.

    Raises:
      UserError: the bundle has another part than `judge`, invalid settings, or tensors that do not fit.
    """
    return bundle.open_part(opened, where, "judge", JudgeConfig, JudgeInference, JudgeInference.init)
