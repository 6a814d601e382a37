"""Settings of a training run, such as its number of steps and the intervals between checkpoints."""

from dataclasses import dataclass

import numpy as np

from specjax.engine.live.value import Value

INTERVALS = ("eval_every", "sample_every", "checkpoint_every")  # may also be changed while training runs


def parse_interval(text: str) -> Value:
    """Parse text as an interval, and return it as a float32 scalar.

    An interval is the number of steps between two events, such as evaluations. 0 switches the event off.

    Raises:
      ValueError: `text` is not an integer from 0 to 999999999.
    """
    if not text.isdecimal() or len(text) > 9:
        raise ValueError(f"{text[:20]!r} is not a number of steps, expected an integer from 0 to 999999999")
    return np.asarray(int(text), np.float32)


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run.

    steps: number of updates.
    batch_size: training examples per update, over all devices.
    seed: seed of all random numbers and of the order of the examples.
    steps_per_dispatch: updates per call of the compiled program. 0 chooses 1 on CPU, where convolutions inside a loop
      are slow, and 32 on accelerators.
    log_every: steps between two log entries, at least 1.
    eval_every: steps between two evaluations on held-out examples; 0 switches evaluation off.
    eval_examples: number of held-out examples evaluated during training, spread evenly over all; 0 means all.
    eval_batch: held-out examples per evaluation batch.
    sample_every: steps between two samples (pictures and sounds); 0 means only after the last step.
    checkpoint_every: steps between two checkpoints; 0 means only when training ends.
    keep_checkpoints: number of newest checkpoints to keep.
    max_skipped: number of consecutive skipped updates after which the run stops with an error. An update is skipped if
      a value in it is not finite.
    profile: first and last step to trace with the profiler; (0, 0) switches it off.

    Raises:
      ValueError: a setting is out of range.
    """

    steps: int = 1000
    batch_size: int = 24
    seed: int = 0
    steps_per_dispatch: int = 0
    log_every: int = 10
    eval_every: int = 0
    eval_examples: int = 0
    eval_batch: int = 24
    sample_every: int = 0
    checkpoint_every: int = 500
    keep_checkpoints: int = 3
    max_skipped: int = 20
    profile: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "log_every", "keep_checkpoints", "max_skipped", "eval_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"train.{name}={getattr(self, name)} must be at least 1")
        for name in (
            "seed",
            "steps_per_dispatch",
            "eval_every",
            "eval_examples",
            "sample_every",
            "checkpoint_every",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"train.{name}={getattr(self, name)} must not be negative")
        if self.steps * self.batch_size >= 2**32:
            raise ValueError(
                f"train: steps * batch_size = {self.steps * self.batch_size} must stay below 2^32: reduce one of them"
            )
