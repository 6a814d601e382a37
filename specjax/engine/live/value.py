"""Live values: settings, such as loss weights, that follow a schedule and may be changed while training runs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import Schedule

Value = Float[np.ndarray, "..."]


@dataclass(frozen=True)
class LiveValue:
    """A setting, such as a loss weight, that the user may change while training runs.

    The value is a scalar or an array of fixed shape.

    schedule: function that returns the value at a step. It applies until the user changes the setting.
    parse: function that converts text typed by the user to a value. It raises a ValueError that says what is accepted.
    scales: if True, the user's value is multiplied by the schedule. If False, the user's value replaces the schedule.
    dormant: if True, `Task.step` does not receive the setting before the user first changes it. `Task.step` can then
      skip a computation, such as a loss of weight 0.
    """

    schedule: Schedule
    parse: Callable[[str], Value]
    scales: bool = False
    dormant: bool = False


def number_parser(low: float, below: float = math.inf) -> Callable[[str], Value]:
    """Return a function that parses text as a finite number of at least `low` and less than `below`.

    The function returns a float32 scalar, and raises ValueError for any other text.
    """
    accepted = f"at least {low:g}" + (f" and below {below:g}" if below < math.inf else "")

    def parse(text: str) -> Value:
        try:
            with np.errstate(over="ignore"):
                value = np.asarray(float(text), np.float32)
        except ValueError:
            value = np.asarray(np.nan, np.float32)
        # The check comes after rounding to float32, which may reach infinity or `below`.
        if not (np.isfinite(value) and low <= value < below):
            raise ValueError(f"{text!r} is not a finite number of {accepted}")
        return value

    return parse


def label_mask_parser(labels: int) -> Callable[[str], Value]:
    """Return a function that parses a comma-separated list of labels, such as `0,1,7`, and returns their mask.

    The mask has shape (labels,), with 1 at each listed label and 0 elsewhere. Any other text raises ValueError.

    Args:
      labels: number of labels; labels are numbered from 0.
    """

    def parse(text: str) -> Value:
        names = text.split(",")
        if not all(name.isdecimal() and int(name) < labels for name in names):
            raise ValueError(f"{text!r} is not a list of labels from 0 to {labels - 1}, such as 0,1,2")
        mask = np.zeros(labels, np.float32)
        mask[[int(name) for name in names]] = 1.0
        return mask

    return parse


def optimizer_values(config: OptimizerConfig, steps: int, network: str = "") -> dict[str, LiveValue]:
    """Return the live values of an optimizer: the learning rate `lr` and, if an average is kept, its `ema_decay`.

    Args:
      config: settings of the optimizer.
      steps: number of updates of the training.
      network: name of the network, which stands before the names of the values, as in `generator.lr`; empty if there is
        only one network.
    """
    prefix = f"{network}." if network else ""
    values = {f"{prefix}lr": LiveValue(config.learning_rate.build(steps), number_parser(0.0), scales=True)}
    if config.ema_decay:
        # Early on, a long average would mostly remember the random initialization.
        values[f"{prefix}ema_decay"] = LiveValue(
            lambda step: jnp.minimum(config.ema_decay, (1 + step) / (10 + step)), number_parser(0.0, below=1.0)
        )
    return values
