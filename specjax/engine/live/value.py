"""Live values: settings, such as loss weights, that follow a schedule and may be changed while training runs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from specjax.optim.schedules import Schedule

Value = Float[np.ndarray, "..."]


@dataclass(frozen=True)
class LiveValue:
    """A setting that may be changed while training runs; a scalar or an array of fixed shape.

    schedule: function from the step to the value that applies unless the user has changed it.
    parse: converts text that a user typed to a value; raises a ValueError that says what is accepted.
    scales: if True, a changed value is multiplied by the schedule; otherwise it replaces the schedule.
    dormant: if True, the value is 0 and is not passed to the update program until the user changes it for the first
      time. Whatever depends on it is then not computed.
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
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value < below):
            raise ValueError(f"{text!r} is not a finite number of {accepted}")
        return np.asarray(value, np.float32)

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
