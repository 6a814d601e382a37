"""Live values: values that follow a schedule and may be changed while training runs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from specjax.optim.schedules import Schedule

Value = Float[np.ndarray, "..."]


@dataclass(frozen=True)
class LiveValue:
    """A value that may be changed while training runs, an array of fixed shape.

    schedule: maps a step to the value in force while nobody has changed it.
    parse: converts text that a user typed to a value; raises a ValueError that says what is accepted.
    scales: a change multiplies the schedule instead of replacing it.
    dormant: the value is 0, and whatever depends on it is not computed until a change names it.
    """

    schedule: Schedule
    parse: Callable[[str], Value]
    scales: bool = False
    dormant: bool = False


def number_parser(low: float, below: float = math.inf) -> Callable[[str], Value]:
    """Return a parser of a finite number of at least `low` and less than `below`."""
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
    """Return a parser of a set of labels such as `0,1,7` to a mask, 1 for these labels and 0 for the others.

    The mask has shape (labels,).
    """

    def parse(text: str) -> Value:
        names = text.split(",")
        if not all(name.isdecimal() and int(name) < labels for name in names):
            raise ValueError(f"{text!r} is not a list of labels from 0 to {labels - 1}, such as 0,1,2")
        mask = np.zeros(labels, np.float32)
        mask[[int(name) for name in names]] = 1.0
        return mask

    return parse
