"""Settings of the chord paper's task `chord/unet`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.chord import theory
from specjax.papers.chord.conditioning import DIGIT_SIZE, Conditioning
from specjax.papers.chord.data import DigitsConfig, resolve
from specjax.papers.chord.losses import NAMES, LossOptions, mix
from specjax.papers.chord.model import UNetConfig
from specjax.papers.chord.sound import SoundConfig


@dataclass(frozen=True)
class AugmentConfig:
    """Bounds of the random augmentation of training digits. If all bounds are 0, there is no augmentation.

    The target spectrogram is computed from the augmented digit.

    max_shift: largest shift along each axis, in pixels.
    max_degrees: largest rotation, in degrees.
    max_scale: largest relative change of size; 0.1 means factors from 0.9 to 1.1.
    max_shear: largest shear coefficient. A coefficient of 0.1 shifts each row of pixels sideways by 0.1 pixels relative
      to the row above it.
    max_stroke: largest change of the width of strokes, in pixels. Those of MNIST are about 2.5 pixels wide.
    """

    max_shift: float = 0.0
    max_degrees: float = 0.0
    max_scale: float = 0.0
    max_shear: float = 0.0
    max_stroke: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.max_stroke <= DIGIT_SIZE:
            raise ValueError(f"augment.max_stroke={self.max_stroke} must lie between 0 and {DIGIT_SIZE} pixels")

    @property
    def affine(self) -> dict[str, Any]:
        """Bounds of the affine transform, the arguments of `image.augment.random_affine`."""
        return {name: bound for name, bound in asdict(self).items() if name != "max_stroke"}


@dataclass(frozen=True)
class ChordConfig:
    """Settings of the task `chord/unet`, in which a U-Net learns to turn images of digits into spectrograms of chords.

    data: source of the digits.
    conditioning: how target spectrograms are computed from digits.
    model: architecture of the network.
    loss_options: constants of the losses.
    loss: schedule of the weight of each loss, by name of the loss, one of `losses.NAMES`.
    optimizer: optimizer, learning rate schedule and moving average of the parameters.
    augment: random augmentation of the digits.
    qualities: names of the chord qualities, such as `major`. If there are several, one is drawn at random for each
      training example. The network gets its index as a second input.
    curriculum: (step, labels) pairs. From each step on, only examples with these labels contribute to the losses. The
      first step must be 0. Empty means that all examples always contribute.
    columns: number of columns (time steps) of the spectrograms in training. It must divide `conditioning.size`, the
      full number of columns. 0 means the full number. Fewer columns make updates cheaper: adjacent columns are
      averaged. Evaluation and the exported model always use the full number.
    sound: how predicted spectrograms are turned into sounds.
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
    sound: SoundConfig = SoundConfig(octave=3)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.loss) - set(NAMES)):
            raise ValueError(f"loss: {unknown[0]!r} is unknown: choose from {', '.join(NAMES)}")
        if all(spec == ScheduleSpec(value=0.0) for spec in self.loss.values()):
            raise ValueError(f"loss: all weights are 0: give at least one of {', '.join(NAMES)} a weight above 0")
        label_weighted = self.loss.get("label", ScheduleSpec(value=0.0)) != ScheduleSpec(value=0.0)
        if self.model.labels not in (0, self.data.labels) or (label_weighted and not self.model.labels):
            raise ValueError(
                f"model.labels={self.model.labels} with data.labels={self.data.labels} and a weight "
                f"{'other than 0' if label_weighted else 'of 0'} of the loss `label`: set model.labels to data.labels, "
                "or model.labels and the weight to 0"
            )
        if unknown := [q for q in self.qualities if q not in theory.QUALITIES]:
            raise ValueError(f"qualities: {unknown[0]!r} is unknown: choose from {', '.join(theory.QUALITIES)}")
        if self.model.qualities not in (0, len(self.qualities)) or (len(self.qualities) > 1) != bool(
            self.model.qualities
        ):
            raise ValueError(
                f"model.qualities={self.model.qualities} but {len(self.qualities)} chord qualities are configured: "
                "set model.qualities to the number of chord qualities, or to 0 if there is only one"
            )
        if self.columns and (self.columns < DIGIT_SIZE or self.conditioning.size % self.columns):
            raise ValueError(
                f"columns={self.columns} must divide conditioning.size={self.conditioning.size} and be at least "
                f"{DIGIT_SIZE}; 0 means all columns"
            )
        top = theory.highest_label(self.conditioning.size, self.conditioning.base_hz)
        if self.data.labels - 1 > top:
            raise ValueError(
                f"data.labels={self.data.labels}: chords of labels above {top} pass the last of "
                f"conditioning.size={self.conditioning.size} rows: lower it to {top + 1}, or add rows"
            )
        for step, labels in self.curriculum:
            if step < 0 or not labels or not all(0 <= y < self.data.labels for y in labels):
                raise ValueError(
                    f"curriculum: ({step}, {labels}) is out of range: a step of at least 0 and labels below "
                    f"{self.data.labels} are expected"
                )
        starts = [step for step, _ in self.curriculum]
        if starts != sorted(set(starts)):
            raise ValueError(f"curriculum: its steps are {starts}: they must increase from entry to entry")
        if self.curriculum and self.curriculum[0][0] != 0:
            raise ValueError(
                f"curriculum: its first entry starts at step {self.curriculum[0][0]}: it must start at step 0"
            )

    def resolve(self) -> "ChordConfig":
        """Fill in the names of the classes, see `data.resolve`."""
        return replace(self, data=resolve(self.data))
