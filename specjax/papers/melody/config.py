"""Settings of the melody paper's task `melody/gan`."""

from dataclasses import dataclass, field, replace
from typing import Literal

from specjax.nn.adversarial import LOSSES, LossName, PenaltyConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.melody.model import BLOCK_FRAMES, COEFFICIENTS, COLUMN_FRAMES, ModelConfig
from specjax.papers.melody.representation import FRAMES, Representation
from specjax.papers.melody.tracks import MusicConfig

# The paper's: Adam with these constants, for both networks.
PAPER_OPTIMIZER = OptimizerConfig(learning_rate=ScheduleSpec(value=1e-3), b1=0.5)


@dataclass(frozen=True)
class AugmentConfig:
    """Random augmentation of both real and generated clips before the discriminator.

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
    """Settings of the task `melody/gan`: a GAN that generates mel spectrograms of clips.

    data: source of the music.
    representation: scale of the networks' inputs and outputs.
    approach: `residual` for the networks of `melody.model`; `tanh` and `relu` for those of the paper's second and third
      approach.
    model: architecture of both networks, for `residual`.
    columns: duration of training clips in columns of 16 frames, for `residual`. Real clips are random crops.
    deviations: root mean square of each coefficient of a block in the training clips, for `residual`. The outputs of
      the generator are multiplied by them. Empty: computed from the data.
    whitening: exponent of the deviations by which the coefficients are divided before the discriminator sees them, for
      `residual`. With 0 it sees mostly the coarse shape of the spectrum; with 1 it sees the finest detail equally well.
    ensemble: whether each genre has its own pair of networks, as in the paper. Otherwise one pair of networks,
      conditioned on the genre, learns all genres.
    loss: name of the adversarial loss: `least_squares` (the paper's), `hinge`, `non_saturating` or `relativistic`.
    penalty: gradient penalty of the discriminator.
    spectral_norm: whether to divide the kernels of the discriminator by their largest singular values (Miyato et al.
      2018). The paper's discriminators then have no batch normalization.
    augment: random augmentation.
    generator, discriminator: optimizers, learning rate schedules, and moving averages of the parameters.
    judge: bundle of a judge, in whose embedding held-out and generated clips are compared. Empty: no such metrics.
    """

    data: MusicConfig = MusicConfig()
    representation: Representation = Representation()
    approach: Literal["residual", "tanh", "relu"] = "residual"
    model: ModelConfig = field(default_factory=ModelConfig)
    columns: int = 13
    deviations: tuple[float, ...] = ()
    whitening: float = 0.25
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
        if not 1 <= self.columns <= FRAMES // COLUMN_FRAMES:
            raise ValueError(f"columns={self.columns} must lie between 1 and {FRAMES // COLUMN_FRAMES}")
        if self.deviations and len(self.deviations) != COEFFICIENTS:
            raise ValueError(f"deviations has {len(self.deviations)} values, expected {COEFFICIENTS}")
        if not 0 <= self.whitening <= 1:
            raise ValueError(f"whitening={self.whitening} must lie between 0 and 1")
        if self.approach != "residual":
            self._check_paper_networks()
        self._check_scale()

    def _check_paper_networks(self) -> None:
        """Raise ValueError if a setting does not fit the networks of the paper."""
        if not self.ensemble and len(self.data.genres) > 1:
            raise ValueError(
                f"approach={self.approach!r} has networks that are not conditioned on the genre: set "
                "ensemble=True, or name one genre in data.genres"
            )
        if self.penalty.kind != "none":
            raise ValueError(
                f"penalty.kind={self.penalty.kind!r} does not fit approach={self.approach!r}, whose scores depend on "
                "the whole batch: use none"
            )

    def _check_scale(self) -> None:
        """Raise ValueError if a setting does not fit the scale of the representation."""
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
        """Fill in the genres, and compute the statistics of the training clips and of their blocks.

        Raises:
          UserError: the source is missing or has another layout.
        """
        from specjax.papers.melody import data
        from specjax.papers.melody.blocks import measure_deviations

        music, representation = data.resolve(self.data, self.representation)
        deviations = self.deviations
        if self.approach == "residual" and not deviations:
            deviations = measure_deviations(data.load(music)[0], representation, BLOCK_FRAMES)
        return replace(self, data=music, representation=representation, deviations=deviations)
