"""From knobs, as they are configured and as they were changed, to the arrays that a dispatch is given."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array

from specjax.engine import sharding as meshes
from specjax.engine.config import INTERVALS, TrainConfig, interval
from specjax.engine.live.changes import Change, value_at
from specjax.engine.live.value import LiveValue, Value
from specjax.engine.task import Task

BLOCK = 1024  # steps evaluated ahead, so that the host never waits for the devices to tell it a value


class LiveValues:
    """Values of the knobs that take part, by step."""

    def __init__(self, knobs: Mapping[str, LiveValue], mesh: Mesh) -> None:
        self._knobs, self._mesh = knobs, mesh
        schedules = {name: knob.schedule for name, knob in knobs.items()}
        self._evaluate = jax.jit(jax.vmap(lambda step: {name: f(step) for name, f in schedules.items()}))
        self._begin = 0
        self._block: dict[str, np.ndarray] = {}

    def __call__(self, step: int, count: int, changes: Sequence[Change] = ()) -> dict[str, Array]:
        """Values for updates `step` to `step + count`, stacked along the first axis, on every device.

        A dormant knob is absent until a change names it; from then on it is there, whatever its value.
        """
        values = {}
        for name, rows in self._scheduled(step, count).items():
            knob = self._knobs[name]
            begun = [change for change in changes if name in change.values and change.step < step + count]
            if begun:
                values[name] = np.stack([_changed(knob, rows[i, ...], name, step + i, begun) for i in range(count)])
            elif not knob.dormant:
                values[name] = rows
        return meshes.replicate(values, self._mesh)

    def _scheduled(self, step: int, count: int) -> dict[str, np.ndarray]:
        if not self._block or not self._begin <= step <= self._begin + BLOCK - count:
            steps = np.arange(step, step + BLOCK, dtype=np.float32)  # optax divides by whole numbers as floats
            self._begin = step
            self._block = {name: np.asarray(x, np.float32) for name, x in jax.device_get(self._evaluate(steps)).items()}
        rows = slice(step - self._begin, step - self._begin + count)
        return {name: x[rows] for name, x in self._block.items()}


def initial(knobs: Mapping[str, LiveValue], step: int = 0) -> dict[str, Array]:
    """Values for one update of a run that nobody changed, as `step` of a task takes them."""
    at = jnp.float32(step)
    return {name: jnp.asarray(k.schedule(at), jnp.float32) for name, k in knobs.items() if not k.dormant}


def all_live_values(task: Task, config: TrainConfig) -> dict[str, LiveValue]:
    """Whatever may be changed while `task` trains: its own knobs, and how often the host does what."""
    intervals = {name: LiveValue(optax.constant_schedule(getattr(config, name)), interval) for name in INTERVALS}
    return {**task.live_values, **intervals}


def _changed(knob: LiveValue, scheduled: Value, name: str, step: int, changes: Sequence[Change]) -> Value:
    text = value_at(changes, name, step)
    if text is None:
        return scheduled
    value = knob.read(text)
    return np.asarray(scheduled * value, np.float32) if knob.scales else value
