"""Schedules as data: what a config writes down, and the optax schedule it stands for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

Kind = Literal["constant", "linear", "cosine", "restarts", "steps"]
KINDS = ("constant", "linear", "cosine", "restarts", "steps")
Schedule = Callable[[Any], Float[Array, ""]]


@dataclass(frozen=True)
class ScheduleSpec:
    """A number that follows the step.

    kind: `constant`; `linear` or `cosine` from `value` to `end` over `over` steps; `restarts`, cosine cycles of
      `over` steps from `value` to `end`, each starting at `restart_scale` times the one before (the paper's learning
      rate "bumps", section 4.2); `steps`, `value` until step `over` and `end` from there on.
    warmup: steps of a straight rise from 0 before all that.
    """

    kind: Kind = "constant"
    value: float = 1.0
    end: float = 0.0
    over: int = 1
    warmup: int = 0
    restart_scale: float = 1.0
    cycles: int = 100

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"schedule kind {self.kind!r} is unknown: choose one of {', '.join(KINDS)}")
        if self.over < 1 or self.warmup < 0 or self.cycles < 1:
            raise ValueError(f"schedule: over={self.over} and cycles={self.cycles} must be >= 1, warmup >= 0")

    def build(self) -> Schedule:
        """The optax schedule: step -> value."""
        after = self._after_warmup()
        if not self.warmup:
            return after
        rise = optax.linear_schedule(0.0, self.value, self.warmup)
        return optax.join_schedules([rise, after], [self.warmup])

    def _after_warmup(self) -> Schedule:
        if self.kind == "constant":
            return optax.constant_schedule(self.value)
        if self.kind == "linear":
            return optax.linear_schedule(self.value, self.end, self.over)
        if self.kind == "steps":
            return optax.join_schedules(
                [optax.constant_schedule(self.value), optax.constant_schedule(self.end)], [self.over]
            )
        if self.kind == "cosine":
            return _cosine(self.value, self.end, self.over)
        cycles = [_cosine(self.value * self.restart_scale**i, self.end, self.over) for i in range(self.cycles)]
        return optax.join_schedules(cycles, [self.over * i for i in range(1, self.cycles)])


def _cosine(value: float, end: float, over: int) -> Schedule:
    def schedule(step: Any) -> Float[Array, ""]:
        share = jnp.clip(jnp.asarray(step, jnp.float32) / over, 0.0, 1.0)
        return end + (value - end) * 0.5 * (1.0 + jnp.cos(jnp.pi * share))

    return schedule
