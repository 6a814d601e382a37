"""Settings of the melody paper's task `melody/wave`."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from specjax.nn.adversarial import LOSSES, LossName, PenaltyConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.papers.melody.config import PAPER_OPTIMIZER
from specjax.papers.melody.representation import CLIP_SAMPLES, Representation
from specjax.papers.melody.tracks import MusicConfig
from specjax.papers.melody.wave.model import WaveModelConfig


@dataclass(frozen=True)
class WaveConfig:
    """Settings of the task `melody/wave`: a GAN that generates waves of music.

    Both networks are conditioned on the genre.

    data: source of the music.
    representation: scale of mel spectrograms in plots. The networks do not use it.
    model: architecture of both networks.
    window: number of samples of the waves in training, which are random crops of clips of 10 s; a multiple of the
      column length.
    loss: name of the adversarial loss: `least_squares`, `hinge`, `non_saturating` or `relativistic`.
    penalty: gradient penalty of the discriminator.
    generator, discriminator: optimizers, learning rate schedules, and moving averages of the parameters.
    judge: bundle of a judge, in whose embedding held-out and generated clips are compared. Empty: no such metrics.
    """

    ensemble: ClassVar[bool] = False

    data: MusicConfig = MusicConfig()
    representation: Representation = Representation()
    model: WaveModelConfig = field(default_factory=WaveModelConfig)
    window: int = 65_536
    loss: LossName = "relativistic"
    penalty: PenaltyConfig = PenaltyConfig()
    generator: OptimizerConfig = PAPER_OPTIMIZER
    discriminator: OptimizerConfig = PAPER_OPTIMIZER
    judge: str = ""

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"loss={self.loss!r} is unknown: choose one of {', '.join(LOSSES)}")
        if self.data.tempo_bpm:
            raise ValueError(
                f"data.tempo_bpm={self.data.tempo_bpm} can bring spectrograms to one tempo, but not waves: set it to 0"
            )
        column = self.model.column_samples
        if not column <= self.window <= CLIP_SAMPLES or self.window % column:
            raise ValueError(
                f"window={self.window} must be a multiple of {column}, the samples of a column, and at most "
                f"{CLIP_SAMPLES}"
            )

    def resolve(self) -> "WaveConfig":
        """Fill in the genres and the statistics of the training clips from the data source.

        Raises:
          UserError: the source is missing or has another layout.
        """
        from specjax.papers.melody.data import load_waves, resolve

        data, representation = resolve(self.data, self.representation, load_waves)
        return replace(self, data=data, representation=representation)
