"""Settings of the mvnet paper's task `mvnet/cdcgan`."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from specjax.nn.adversarial import LOSSES, LossName, PenaltyConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.mvnet.augment import AugmentConfig
from specjax.papers.mvnet.conditions import ConditionConfig, describe_music, measure_condition_statistics
from specjax.papers.mvnet.dataset import MuseumConfig
from specjax.papers.mvnet.model import ModelConfig
from specjax.papers.mvnet.representation import Representation


@dataclass(frozen=True)
class GanConfig:
    """Settings of the task `mvnet/cdcgan`: a generator paints pictures from music, against a discriminator.

    data: source of music and pictures. Music is loaded as mel power, because the encoder has its own scale.
    encoder: bundle or run of the encoder, which is frozen. Training requires one.
    approach: `residual` for the networks of `mvnet.model`; `paper` for the paper's.
    model: architecture of both networks, for `residual`.
    paper_divisor: for `paper`, the numbers of channels of the networks are divided by this; 1 is the paper's.
    condition: what the networks are conditioned on.
    mirror: whether half of the training pairs have their picture mirrored, left to right.
    balanced: whether each batch has the same number of pictures of every era (these numbers may differ by 1).
    loss: name of the adversarial loss; `smoothed` is the paper's.
    penalty: gradient penalty of the discriminator.
    augment: random augmentation of real and generated pictures.
    generator, discriminator: optimizers, learning rate schedules, and moving averages of the parameters.
    judge: bundle of a judge, in whose embedding held-out and generated pictures are compared. Empty: the pictures are
      shrunk and compared by their pixels.
    style: bundle of the second stage, to be exported with the generator. Empty: none.
    """

    data: MuseumConfig = MuseumConfig(representation=Representation("power"))
    encoder: str = ""
    approach: Literal["residual", "paper"] = "residual"
    model: ModelConfig = field(default_factory=ModelConfig)
    paper_divisor: int = 1
    condition: ConditionConfig = ConditionConfig()
    mirror: bool = True
    balanced: bool = False
    loss: LossName = "smoothed"
    penalty: PenaltyConfig = PenaltyConfig()
    augment: AugmentConfig = AugmentConfig()
    generator: OptimizerConfig = OptimizerConfig(learning_rate=ScheduleSpec(value=2e-4), b1=0.5)
    discriminator: OptimizerConfig = OptimizerConfig(learning_rate=ScheduleSpec(value=5e-5), b1=0.5)
    judge: str = ""
    style: str = ""

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"loss={self.loss!r} is unknown: choose one of {', '.join(LOSSES)}")
        if self.approach not in ("residual", "paper"):
            raise ValueError(f"approach={self.approach!r} is unknown: choose residual or paper")
        if self.paper_divisor not in (1, 2, 4, 8):
            raise ValueError(f"paper_divisor={self.paper_divisor} must be 1, 2, 4 or 8")
        if self.approach == "paper" and self.penalty.kind != "none":
            raise ValueError(
                f"penalty.kind={self.penalty.kind!r} does not fit approach='paper', whose scores depend on the whole "
                "batch: use none"
            )
        if self.data.representation.scale != "power":
            raise ValueError(
                f"data.representation.scale={self.data.representation.scale!r} must be 'power': the encoder has its "
                "own scale"
            )

    def resolve(self) -> "GanConfig":
        """Fill in the eras and the statistics of the training clips, unless they are set or not needed.

        The bundles that the settings name are opened first, because reading the data may take minutes.

        Raises:
          UserError: a bundle or the data set cannot be used.
        """
        from specjax.papers.mvnet import data, inference, judge, refinement

        museum, condition = data.resolve(self.data), self.condition
        encoder = inference.load_encoder(self.encoder, museum.eras)
        judge.load_judge(self.judge, museum.eras)
        refinement.load_style(self.style, museum.eras)
        if condition.needs_statistics and condition.statistics is None:
            statistics = measure_condition_statistics(
                data.map_training_clips(museum, partial(encoder.inference.embed_power, encoder.variables)),
                data.map_training_clips(museum, describe_music),
            )
            condition = replace(condition, statistics=statistics)
        return replace(self, data=museum, condition=condition)
