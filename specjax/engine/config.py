"""Settings of a training run: its number of steps, and how often the host evaluates, samples and saves."""

from dataclasses import dataclass

import numpy as np

from specjax.engine.live.value import Value

INTERVALS = ("eval_every", "sample_every", "checkpoint_every")


def parse_interval(text: str) -> Value:
    """Parse a number of steps between two events; 0 switches the event off.

    Raises:
      ValueError: `text` is not a number of steps.
    """
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a number of steps, expected an integer of at least 0")
    return np.asarray(int(text), np.float32)


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run. `*_every` are in steps; 0 switches the event off.

    steps: number of updates.
    batch_size: training examples per update, over all devices.
    seed: seed of all random numbers and of the order of examples.
    steps_per_dispatch: updates per call to the devices; 0 chooses 1 on CPU, where convolutions inside a loop are slow,
      and 32 on accelerators.
    eval_examples: number of held-out examples evaluated during training; 0 means all.
    eval_batch: held-out examples per evaluation batch.
    keep_checkpoints: number of newest checkpoints to keep.
    max_skipped: stop the run after this many skipped updates in a row; an update is skipped if it is not finite.
    profile: (first, last) step to trace with the profiler; (0, 0) switches it off.

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
