"""Settings of the texture paper's task `texture/classifier`."""

from dataclasses import dataclass, replace
from typing import Literal

from specjax.optim.optimizer import OptimizerConfig
from specjax.papers.texture.data import BUILTIN, SoundsConfig, resolve_classes
from specjax.papers.texture.model import ModelConfig
from specjax.papers.texture.representation import Representation


@dataclass(frozen=True)
class AugmentConfig:
    """Random augmentation of the training spectrograms. By default, there is none.

    mixup: parameter alpha of the beta distribution from which the mixup weights are drawn; 0 disables mixup.
    mixup_share: fraction of the examples that are mixed.
    time_shift: whether to shift each spectrogram cyclically along time.
    max_row_shift: largest shift along frequency, in rows.
    max_gain_db: largest change of level, in dB.
    max_tilt_db: largest spectral tilt: the highest row changes by up to this many dB, and the lowest row by the
      opposite amount.
    time_masks, frequency_masks: number of masked bands of frames and of rows.
    time_mask_s: largest duration of a masked band of frames, in seconds.
    frequency_mask_share: largest width of a masked band of rows, as a fraction of all rows.
    """

    mixup: float = 0.0
    mixup_share: float = 1.0
    time_shift: bool = False
    max_row_shift: int = 0
    max_gain_db: float = 0.0
    max_tilt_db: float = 0.0
    time_masks: int = 0
    frequency_masks: int = 0
    time_mask_s: float = 0.5
    frequency_mask_share: float = 0.1

    def __post_init__(self) -> None:
        for name in ("mixup", "max_row_shift", "max_gain_db", "max_tilt_db", "time_masks", "frequency_masks"):
            if getattr(self, name) < 0:
                raise ValueError(f"augment.{name}={getattr(self, name)} must not be negative")
        for name in ("mixup_share", "frequency_mask_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"augment.{name}={getattr(self, name)} must lie between 0 and 1")
        if self.time_mask_s < 0:
            raise ValueError(f"augment.time_mask_s={self.time_mask_s} must not be negative")


@dataclass(frozen=True)
class ClassifierConfig:
    """Settings of the task `texture/classifier`: a network classifies sounds by their spectrograms.

    data: source of the sounds, their classes and the folds to train on.
    representation: how spectrograms are computed.
    model: architecture of the network.
    augment: random augmentation of the training spectrograms.
    loss: `softmax` is the cross-entropy of one class among all. `sigmoid` is the binary cross-entropy of each class,
      summed over the classes; with mixup, the targets are the weights of the two classes.
    label_smoothing: weight of the uniform distribution that is mixed into the one-hot labels.
    second_task: weight of the cross-entropy of the second task, the classification of the sound's spectral centroid. It
      has an effect only if `model.centroid_classes` is not 0.
    views: number of cyclic shifts of each held-out spectrogram over which the logits are averaged; shift v is by
      v/views of its duration.
    optimizer: optimizer, learning rate schedule and moving average of the parameters.
    """

    data: SoundsConfig = SoundsConfig()
    representation: Representation = Representation()
    model: ModelConfig = ModelConfig()
    augment: AugmentConfig = AugmentConfig()
    loss: Literal["softmax", "sigmoid"] = "softmax"
    label_smoothing: float = 0.0
    second_task: float = 1.0
    views: int = 1
    optimizer: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        if self.loss not in ("softmax", "sigmoid"):
            raise ValueError(f"loss={self.loss!r} is unknown: choose softmax or sigmoid")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing={self.label_smoothing} must lie in [0, 1)")
        if self.second_task < 0 or self.views < 1:
            raise ValueError(f"second_task={self.second_task} must be at least 0, and views={self.views} at least 1")

        samples = round(self.data.duration_s * self.representation.sample_rate)
        frames = self.representation.frames(samples)
        least = 2 ** (len(self.model.widths) + 1)
        if frames < least:
            raise ValueError(
                f"sounds of data.duration_s={self.data.duration_s} have {frames} frames, expected at least {least} for "
                "this network: use a longer duration or a shorter hop_length"
            )
        if self.data.source == BUILTIN and (self.data.duration_s < 0.5 or self.representation.sample_rate < 8000):
            raise ValueError(
                f"data.source={BUILTIN} needs data.duration_s of at least 0.5 and a sample_rate of at least 8000"
            )

    def resolve(self) -> "ClassifierConfig":
        """Fill in the names of the classes from the data source, if they are not set.

        Raises:
          UserError: the source is missing or has another layout.
        """
        return replace(self, data=resolve_classes(self.data))
