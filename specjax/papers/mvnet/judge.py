"""Judge of pictures: a classifier of eras, used only to evaluate generated pictures, in its embedding.

It is trained on real pictures and on noise with the same moments. It is independent of the discriminator of a GAN.
"""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from specjax.cli.paths import local_path
from specjax.engine import bundle
from specjax.engine.bundle import Bundle
from specjax.nn.conv import kernel_init
from specjax.nn.pool import global_max_pool
from specjax.nn.strided_conv import StridedConv, Window
from specjax.optim.optimizer import OptimizerConfig
from specjax.papers.mvnet.augment import AugmentConfig
from specjax.papers.mvnet.dataset import PICTURE_SIZE, MuseumConfig
from specjax.papers.mvnet.pictures import Values
from specjax.papers.mvnet.representation import Representation


@dataclass(frozen=True)
class JudgeConfig:
    """Settings of the task `mvnet/judge`: a network classifies pictures by era.

    data: source of the pictures.
    widths: number of channels after each convolution.
    dropout: dropout rate of the embedding during training.
    augment: random augmentation. Pictures are mirrored at random as well.
    noise: fraction of each batch that is noise with the mean and covariance of an era, as an additional class. Above 0,
      the judge cannot rely on these moments alone, which are colors and mean shapes. 0: there is no noise class.
    optimizer: optimizer, learning rate schedule and moving average of the parameters.
    """

    data: MuseumConfig = MuseumConfig(representation=Representation("power"))
    widths: tuple[int, ...] = (32, 64, 96, 128)
    dropout: float = 0.2
    augment: AugmentConfig = AugmentConfig(color=0.1, translation=0.125)
    noise: float = 0.0
    optimizer: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        if not 1 <= len(self.widths) <= 6 or min(self.widths) < 1:
            raise ValueError(f"widths={self.widths} must name 1 to 6 convolutions with at least 1 channel")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must lie in [0, 1)")
        if not 0 <= self.noise < 1:
            raise ValueError(f"noise={self.noise} must lie in [0, 1)")

    @property
    def classes(self) -> int:
        """Number of classes: the eras and, if `noise` is above 0, noise."""
        return len(self.data.eras) + (self.noise > 0)

    def resolve(self) -> "JudgeConfig":
        """Fill in the eras from the data source.

        Raises:
          UserError: the source is missing or has another layout.
        """
        from specjax.papers.mvnet.data import resolve

        return replace(self, data=resolve(self.data))


class Verdict(NamedTuple):
    """Output of the judge.

    Attributes:
      logits: logits of the eras and, if there is one, of the noise class.
      embedding: the features from which the logits are computed.
      maps: feature maps after each convolution, in order.
    """

    logits: Float[Array, "batch classes"]
    embedding: Float[Array, "batch features"]
    maps: tuple[Float[Array, "batch height width channels"], ...]


class Judge(nn.Module):
    """Convolutions of 4x4 pixels and stride 2, each with batch normalization and ReLU; mean and maximum over pixels.

    Attributes:
      widths: number of channels after each convolution.
      dropout: dropout rate of the embedding. Training needs the Flax RNG stream `dropout`.
      classes: number of classes, see `JudgeConfig.classes`.
    """

    widths: tuple[int, ...]
    dropout: float
    classes: int

    @nn.compact
    def __call__(self, pictures: Values, training: bool = False) -> Verdict:
        maps, x, norm = [], pictures, partial(nn.BatchNorm, use_running_average=not training, momentum=0.9)
        for i, width in enumerate(self.widths):
            conv = StridedConv(width, (4, 4), Window((2, 2), (1, 1)), kernel_init=kernel_init("he"), name=f"conv{i}")
            x = nn.relu(norm(name=f"norm{i}")(conv(x)))
            maps.append(x)
        embedding = jnp.concatenate([jnp.mean(x, axis=(1, 2)), global_max_pool(x)], axis=1)
        dropped = nn.Dropout(self.dropout, deterministic=not training)(embedding)
        return Verdict(nn.Dense(self.classes, name="era")(dropped), embedding, tuple(maps))


@dataclass(frozen=True)
class JudgeInference:
    """Methods that use a judge. The network's variables are not stored here: methods take them as an argument.

    config: settings, with the names of the eras filled in.
    """

    config: JudgeConfig

    @cached_property
    def network(self) -> Judge:
        """The network."""
        return Judge(self.config.widths, self.config.dropout, self.config.classes)

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Initialize the variables of the network: `params` and `batch_stats`."""
        return dict(self.network.init({"params": key}, jnp.zeros((1, PICTURE_SIZE, PICTURE_SIZE, 3))))

    def judge(self, variables: Any, pictures: Values) -> Verdict:
        """Apply the network to pictures, given as values in [-1, 1]."""
        return cast(Verdict, self.network.apply(variables, pictures))

    def guess(self, verdict: Verdict) -> Int[Array, " batch"]:
        """Return the index of the most probable era of each picture, ignoring the noise class."""
        return jnp.argmax(verdict.logits[:, : len(self.config.data.eras)], axis=1)

    def is_noise(self, verdict: Verdict) -> Bool[Array, " batch"]:
        """Return whether each picture is classified as noise; always False without a noise class."""
        return jnp.argmax(verdict.logits, axis=1) >= len(self.config.data.eras)


class OpenJudge(NamedTuple):
    """A judge and the variables of its network."""

    inference: JudgeInference
    variables: Any


def open_judge(opened: Bundle, where: str) -> OpenJudge:
    """Prepare a bundle of the task `mvnet/judge` for inference, see `bundle.open_part`.

    Raises:
      UserError: the bundle has another part than `judge`, invalid settings, or tensors that do not fit.
    """
    return OpenJudge(*bundle.open_part(opened, where, "judge", JudgeConfig, JudgeInference, JudgeInference.init))


def load_judge(folder: str, eras: tuple[str, ...]) -> OpenJudge | None:
    """Open the bundle of a judge; return None if `folder` is empty.

    Args:
      folder: folder of the bundle.
      eras: eras of the data, which must be those that the judge was trained on, in the same order.

    Raises:
      UserError: the bundle is missing or damaged, or the judge was trained on other eras.
    """
    if not folder:
        return None
    from specjax import papers

    judge: OpenJudge = papers.open_bundle(local_path(folder, "config.judge"), task="mvnet/judge")
    bundle.check_classes(folder, "eras", judge.inference.config.data.eras, eras)
    return judge
