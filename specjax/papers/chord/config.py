"""Everything the chord wing can be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.chord import sound as synth
from specjax.papers.chord import theory
from specjax.papers.chord.conditioning import DIGIT_SIZE, Conditioning
from specjax.papers.chord.data import DigitsConfig
from specjax.papers.chord.losses import NAMES, LossOptions, mix
from specjax.papers.chord.model import UNetConfig


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of the digit; its target is made from the changed digit. Pixels, degrees, shares."""

    max_shift: float = 0.0
    max_degrees: float = 0.0
    max_scale: float = 0.0
    max_shear: float = 0.0


@dataclass(frozen=True)
class ChordConfig:
    """The chord wing's settings.

    qualities: chord qualities; with more than one, each example draws one at random and the network is told which.
    loss: loss name -> weight by step.
    curriculum: (step, digits) pairs: from that step on only those digits count; empty counts all.
    columns: of the pictures that losses compare, each the mean of its neighbours; 0 for all of `conditioning.size`.
      Targets are smooth along time (a smear of 20 columns), so that fewer tell as much and cost less. Rows are never
      thinned, and pictures are judged and exported whole.
    """

    data: DigitsConfig = DigitsConfig()
    conditioning: Conditioning = Conditioning()
    model: UNetConfig = UNetConfig()
    loss_options: LossOptions = LossOptions()
    loss: Mapping[str, ScheduleSpec] = field(default_factory=lambda: mix(huber=1.0))
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: AugmentConfig = AugmentConfig()
    qualities: tuple[str, ...] = ("major",)
    curriculum: tuple[tuple[int, tuple[int, ...]], ...] = ()
    columns: int = 0
    sound: synth.SoundConfig = synth.SoundConfig(octave=3)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.loss) - set(NAMES)):
            raise ValueError(f"loss: {unknown[0]!r} is no loss: choose from {', '.join(NAMES)}")
        if all(spec == ScheduleSpec(value=0.0) for spec in self.loss.values()):
            raise ValueError(f"loss: give at least one loss of {', '.join(NAMES)} a weight")
        read = self.loss.get("label", ScheduleSpec(value=0.0)) != ScheduleSpec(value=0.0)
        if self.model.labels not in (0, self.data.labels) or (read and not self.model.labels):
            raise ValueError(
                f"model.labels={self.model.labels} with {self.data.labels} labels of data and a weight of "
                f"{'some kind' if read else '0'} for the loss `label`: set model.labels to data.labels, or both to 0"
            )
        if unknown := [q for q in self.qualities if q not in theory.QUALITIES]:
            raise ValueError(f"qualities: {unknown[0]!r} is unknown: choose from {', '.join(theory.QUALITIES)}")
        if self.model.qualities not in (0, len(self.qualities)) or (len(self.qualities) > 1) != bool(
            self.model.qualities
        ):
            raise ValueError(
                f"model.qualities={self.model.qualities} but {len(self.qualities)} chord qualities are configured: "
                "the network must be told which of several (set both alike; 0 for a single one)"
            )
        if self.columns and (self.columns < DIGIT_SIZE or self.conditioning.size % self.columns):
            raise ValueError(
                f"columns={self.columns} must divide conditioning.size={self.conditioning.size} and be at least "
                f"{DIGIT_SIZE}; 0 compares them all"
            )
        top = theory.highest_label(self.conditioning.size, self.conditioning.base_hz)
        if self.data.labels - 1 > top:
            raise ValueError(f"data.labels={self.data.labels}: chords of labels above {top} pass the last row")
        for step, shown in self.curriculum:
            if step < 0 or not shown or not all(0 <= d < self.data.labels for d in shown):
                raise ValueError(f"curriculum: ({step}, {shown}) needs a step >= 0 and labels below {self.data.labels}")
        if self.curriculum and self.curriculum[0][0] != 0:
            raise ValueError("curriculum: its first entry must start at step 0")
