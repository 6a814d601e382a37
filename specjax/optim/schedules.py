"""Schedules as data: the specification in a config, and the optax schedule that it builds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import optax
from jaxtyping import Array, Float

Kind = Literal["constant", "linear", "cosine", "restarts", "steps"]
KINDS = ("constant", "linear", "cosine", "restarts", "steps")
Schedule = Callable[[Any], Float[Array, ""]]


@dataclass(frozen=True)
class ScheduleSpec:
    """A number that changes with the training step.

    kind: shape of the schedule.
      `constant`: always `value`.
      `linear`, `cosine`: from `value` to `end` within `over` steps, then constant.
      `restarts`: `cycles` cosine cycles from `value` to `end`, of `over` steps each. Every cycle starts at
        `restart_scale` times the start of the one before (the learning rate "bumps" of the chord paper, section 4.2).
      `steps`: `value` before step `over`, and `end` from then on.
    over: number of steps, counted from the end of the warm-up; 0 means the length of the whole training.
    warmup: number of steps of a linear rise from 0 to `value` that precedes the schedule.
    """

    kind: Kind = "constant"
    value: float = 1.0
    end: float = 0.0
    over: int = 0
    warmup: int = 0
    restart_scale: float = 1.0
    cycles: int = 100

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"schedule kind {self.kind!r} is unknown: choose one of {', '.join(KINDS)}")
        if min(self.over, self.warmup) < 0 or self.cycles < 1:
            raise ValueError(
                f"schedule: over={self.over}, warmup={self.warmup}, cycles={self.cycles} is out of range: "
                "over and warmup must be at least 0, cycles at least 1"
            )

    def build(self, steps: int) -> Schedule:
        """Build the optax schedule, a function from step to value, for a training of `steps` updates."""
        main = self._build_main(self.over or steps)
        if not self.warmup:
            return main
        rise = optax.linear_schedule(0.0, self.value, self.warmup)
        return optax.join_schedules([rise, main], [self.warmup])

    def _build_main(self, over: int) -> Schedule:
        if self.kind == "constant":
            return optax.constant_schedule(self.value)
        if self.kind == "linear":
            return optax.linear_schedule(self.value, self.end, over)
        if self.kind == "steps":
            return optax.join_schedules(
                [optax.constant_schedule(self.value), optax.constant_schedule(self.end)], [over]
            )
        if self.kind == "cosine":
            return _build_cosine(self.value, self.end, over)
        cycles = [_build_cosine(self.value * self.restart_scale**i, self.end, over) for i in range(self.cycles)]
        return optax.join_schedules(cycles, [over * i for i in range(1, self.cycles)])


def _build_cosine(value: float, end: float, over: int) -> Schedule:
    # optax scales the initial value, so that its own schedule could not rise from 0.
    decay = optax.cosine_decay_schedule(1.0, over)
    return lambda step: end + (value - end) * decay(step)
