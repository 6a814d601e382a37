"""When a run does what: the steps it has, and the events between them."""

from dataclasses import dataclass

import numpy as np

from specjax.engine.live.value import Value

INTERVALS = ("eval_every", "sample_every", "checkpoint_every")


def interval(text: str) -> Value:
    """Reader of a number of steps between two events; 0 switches them off."""
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a number of steps from 0 up")
    return np.asarray(int(text), np.float32)


@dataclass(frozen=True)
class TrainConfig:
    """The clock of a run. `*_every` are in steps; 0 switches the event off.

    steps_per_dispatch: steps run by one call to the devices; 0 chooses 1 on CPU (convolutions inside a loop are slow
      there) and 32 on accelerators.
    eval_examples: how many held-out examples are measured while training; 0 means all.
    max_skipped: a run stops when so many updates in a row were refused as not finite.
    profile: (first, last) step to trace with the profiler; (0, 0) is off.
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
            raise ValueError("train: steps * batch_size must stay below 2^32")
