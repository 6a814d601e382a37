"""Computation of live values, which are settings that may be changed while training runs.

A live value is computed from its schedule and from the changes that the user has made.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array

from specjax.engine import sharding
from specjax.engine.config import INTERVALS, TrainConfig, parse_interval
from specjax.engine.live.changes import Change, find_value
from specjax.engine.live.value import LiveValue, Value
from specjax.engine.task import Task

BLOCK = 1024  # steps for which schedules are evaluated at once, so that the host rarely waits for the devices


class LiveValues:
    """Computes the live values for each call of the compiled training program.

    Live values are settings that follow a schedule and may be changed while training runs.
    """

    def __init__(self, live_values: Mapping[str, LiveValue], mesh: Mesh) -> None:
        """Create the jitted function that evaluates all schedules.

        Args:
          live_values: settings that follow a schedule until the user changes them, by name.
          mesh: mesh of the devices on which the computed values are replicated.
        """
        self._live_values, self._mesh = live_values, mesh
        schedules = {name: live_value.schedule for name, live_value in live_values.items()}
        self._evaluate = jax.jit(jax.vmap(lambda step: {name: f(step) for name, f in schedules.items()}))
        self._begin, self._end = 0, 0  # updates whose values are in `_block`
        self._block: dict[str, np.ndarray] = {}

    def __call__(self, step: int, count: int, changes: Sequence[Change] = ()) -> dict[str, Array]:
        """Compute the live values for the `count` updates that begin with update `step`.

        Args:
          step: first update.
          count: number of updates.
          changes: changes by the user, in the order in which the run accepted them.

        Returns:
          Arrays by name, replicated on every device, with one value per update along the leading axis. A live value
          with `dormant=True` is included only if a change by the user begins before update `step + count`.
        """
        values = {}
        for name, rows in self._evaluate_schedules(step, count).items():
            live_value = self._live_values[name]
            begun = [change for change in changes if name in change.values and change.step < step + count]
            if begun:
                values[name] = np.stack(
                    [_apply_changes(live_value, rows[i, ...], name, step + i, begun) for i in range(count)]
                )
            elif not live_value.dormant:
                values[name] = rows
        return sharding.place(values, self._mesh)

    def _evaluate_schedules(self, step: int, count: int) -> dict[str, np.ndarray]:
        """Evaluate all schedules for the `count` updates that begin with update `step`.

        Schedules are evaluated for at least `BLOCK` updates at a time. The latest results are cached, so that most
        calls only slice them.

        Args:
          step: first update.
          count: number of updates.

        Returns:
          Float32 arrays by name, each with a leading axis of length `count`.
        """
        if not self._begin <= step <= self._end - count:
            self._begin, self._end = step, step + max(BLOCK, count)
            steps = np.arange(self._begin, self._end, dtype=np.float32)  # floats, because optax divides the step
            self._block = {name: np.asarray(x, np.float32) for name, x in jax.device_get(self._evaluate(steps)).items()}
        rows = slice(step - self._begin, step - self._begin + count)
        return {name: x[rows] for name, x in self._block.items()}


def initial(live_values: Mapping[str, LiveValue], step: int = 0) -> dict[str, Array]:
    """Compute the live values of update `step` from their schedules alone, without changes by the user.

    Live values are settings that may be changed while training runs. Those with `LiveValue.dormant=True` are left out:
    they are off until the user changes them.

    Returns:
      Float32 arrays by name, for the argument `live` of `Task.step`.
    """
    at = jnp.float32(step)
    return {name: jnp.asarray(v.schedule(at), jnp.float32) for name, v in live_values.items() if not v.dormant}


def all_live_values(task: Task, config: TrainConfig) -> dict[str, LiveValue]:
    """Return all settings that the user may change while `task` trains, by name.

    They are the live values that the task defines, such as loss weights, and the intervals `eval_every`, `sample_every`
    and `checkpoint_every` of `config`.
    """
    intervals = {name: LiveValue(optax.constant_schedule(getattr(config, name)), parse_interval) for name in INTERVALS}
    return {**task.live_values(config.steps), **intervals}


def _apply_changes(live_value: LiveValue, scheduled: Value, name: str, step: int, changes: Sequence[Change]) -> Value:
    """Compute a live value at one update.

    A live value is a setting that follows a schedule until the user changes it. If no change applies, the result is
    `scheduled`. If a change applies, the result is the new value. With `live_value.scales=True`, the new value is
    multiplied by `scheduled`.

    Args:
      live_value: definition of the live value.
      scheduled: value of the schedule at update `step`.
      name: name of the live value.
      step: number of the update, from 0.
      changes: changes by the user, in the order in which the run accepted them.
    """
    text = find_value(changes, name, step)
    if text is None:
        return scheduled
    value = live_value.parse(text)
    return np.asarray(scheduled * value, np.float32) if live_value.scales else value
