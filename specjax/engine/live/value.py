"""Values that follow the step and that a person may change while training runs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from specjax.optim.schedules import Schedule

Value = Float[np.ndarray, "..."]


@dataclass(frozen=True)
class LiveValue:
    """One such value, an array of fixed shape.

    schedule: step -> value, where nobody has changed it.
    read: what a person types, as a value; ValueError says what is accepted.
    scales: a change multiplies the schedule instead of replacing it.
    dormant: it rests at 0, and nothing of it is computed until a change names it.
    """

    schedule: Schedule
    read: Callable[[str], Value]
    scales: bool = False
    dormant: bool = False


def number_parser(low: float, below: float = math.inf) -> Callable[[str], Value]:
    """Reader of one finite number of at least `low`, and less than `below`."""
    accepted = f"at least {low:g}" + (f" and below {below:g}" if below < math.inf else "")

    def read(text: str) -> Value:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value < below):
            raise ValueError(f"{text!r} is not a finite number of {accepted}")
        return np.asarray(value, np.float32)

    return read


def label_mask_parser(labels: int) -> Callable[[str], Value]:
    """Reader of a set of labels such as `0,1,7`, as 1 for those and 0 for the others."""

    def read(text: str) -> Value:
        names = text.split(",")
        if not all(name.isdecimal() and int(name) < labels for name in names):
            raise ValueError(f"{text!r} is not a list of labels from 0 to {labels - 1}, such as 0,1,2")
        mask = np.zeros(labels, np.float32)
        mask[[int(name) for name in names]] = 1.0
        return mask

    return read
