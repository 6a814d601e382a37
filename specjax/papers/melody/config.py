"""Settings of the melody paper's task `melody/gan`."""

from dataclasses import dataclass, field, replace
from typing import Literal

from specjax.nn.adversarial import LOSSES, LossName, PenaltyConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.melody.model import ModelConfig
from specjax.papers.melody.representation import Representation
from specjax.papers.melody.tracks import MusicConfig

# The paper's: Adam with these constants, for both networks.
PAPER_OPTIMIZER = OptimizerConfig(learning_rate=ScheduleSpec(value=1e-3), b1=0.5)


@dataclass(frozen=True)
class AugmentConfig:
    """Random augmentation of real and generated clips alike, before the discriminator sees them.

    enabled: whether clips are augmented; each is then shifted cyclically along time.
    max_gain_db: largest change of level, in dB (scale `db` only).
    time_masks, mel_masks: number of masked bands of frames and of mel bands.
    """

    enabled: bool = False
    max_gain_db: float = 6.0
    time_masks: int = 1
    mel_masks: int = 1


@dataclass(frozen=True)
class GanConfig:
    """Settings of the task `melody/gan`: a generator writes mel spectrograms of clips, against a discriminator.

    data: source of the music.
    representation: scale of the values that the networks see.
    approach: `residual` for the networks of `melody.model`; `tanh` and `relu` for those of the paper's second and third
      approach.
    model: architecture of both networks, for `residual`.
    ensemble: whether each genre has two networks of its own, as in the paper. Otherwise two networks learn all genres,
      and are told the genre.
    loss: name of the adversarial loss: `least_squares` (the paper's), `hinge`, `non_saturating` or `relativistic`.
    penalty: gradient penalty of the discriminator.
    spectral_norm: whether to divide the kernels of the discriminator by their largest singular values (Miyato et al.
      2018). The paper's discriminators then have no batch normalization.
    augment: random augmentation.
    generator, discriminator: optimizers, learning rate schedules, and moving averages of the parameters.
    judge: bundle of a judge, in whose embedding held-out and generated clips are compared. Empty: no such figures.
    """

    data: MusicConfig = MusicConfig()
    representation: Representation = Representation()
    approach: Literal["residual", "tanh", "relu"] = "residual"
    model: ModelConfig = field(default_factory=ModelConfig)
    ensemble: bool = False
    loss: LossName = "least_squares"
    penalty: PenaltyConfig = PenaltyConfig()
    spectral_norm: bool = False
    augment: AugmentConfig = AugmentConfig()
    generator: OptimizerConfig = PAPER_OPTIMIZER
    discriminator: OptimizerConfig = PAPER_OPTIMIZER
    judge: str = ""

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"loss={self.loss!r} is unknown: choose one of {', '.join(LOSSES)}")
        if self.approach not in ("residual", "tanh", "relu"):
            raise ValueError(f"approach={self.approach!r} is unknown: choose residual, tanh or relu")
        paper = self.approach != "residual"
        if paper and not self.ensemble and len(self.data.genres) > 1:
            raise ValueError(
                f"approach={self.approach!r} has networks that are not told the genre: set ensemble=True, or name one "
                "genre in data.genres"
            )
        if paper and self.penalty.kind != "none":
            raise ValueError(
                f"penalty.kind={self.penalty.kind!r} does not fit approach={self.approach!r}, whose scores depend on "
                "the whole batch: use none"
            )
        if (self.approach == "relu") != (self.representation.scale == "power"):
            raise ValueError(
                f"approach={self.approach!r} does not fit representation.scale={self.representation.scale!r}: the "
                "generator of relu writes the scale power, the others signed_power or db"
            )
        if self.augment.enabled and self.augment.max_gain_db and self.representation.scale != "db":
            raise ValueError(
                f"augment.max_gain_db={self.augment.max_gain_db} needs representation.scale='db', not "
                f"{self.representation.scale!r}: set it to 0"
            )

    def resolve(self) -> "GanConfig":
        """Fill in the genres and the statistics of the training clips from the data source.

        Raises:
          UserError: the source is missing or has another layout.
        """
        from specjax.papers.melody.data import resolve

        data, representation = resolve(self.data, self.representation)
        return replace(self, data=data, representation=representation)
