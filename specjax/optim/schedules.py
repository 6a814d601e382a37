"""Config dataclass of a schedule (a number that depends on the step), and the optax schedule that is built from it."""

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
    """Settings of a schedule: a number, such as the learning rate, that changes with the training step.

    kind: shape of the schedule after the warm-up.
      `constant`: always `value`.
      `linear`, `cosine`: from `value` to `end` in `over` steps, then constant.
      `restarts`: `cycles` cosine schedules of `over` steps each. Cycle i, counted from 0, goes from
        `value * restart_scale**i` to `end`.
      `steps`: `value` in the first `over` steps, then `end`.
    value: initial value.
    end: final value; not used by `constant`.
    over: number of steps of the schedule, not counting the warm-up. For `restarts`, number of steps of one cycle. 0
      means all training steps after the warm-up.
    warmup: number of steps before the schedule in which the number rises linearly from 0 to `value`.
    restart_scale: ratio of the initial values of successive cycles, for `restarts`.
    cycles: number of cycles, for `restarts`.
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
        """Build the optax schedule, a function from step to value.

        Args:
          steps: number of training steps, including the warm-up. A schedule without a length (`over` is 0) ends with
            the last of them.
        """
        main = self._build_main(self.over or max(steps - self.warmup, 1))
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
    # `optax.cosine_decay_schedule` multiplies the initial value by a factor, so it cannot start at 0 and rise.
    decay = optax.cosine_decay_schedule(1.0, over)
    return lambda step: end + (value - end) * decay(step)
