"""Which wing a config trains. Start reading here."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from specjax.chord.config import ChordConfig
from specjax.chord.task import ChordTask
from specjax.config import split, to_dataclass
from specjax.engine.clock import TrainConfig
from specjax.engine.task import Task
from specjax.errors import Refusal


class Wing(NamedTuple):
    """A wing's config and task."""

    config: type
    task: type


WINGS = {
    "chord": Wing(ChordConfig, ChordTask),  # digits to chords: configs unet, unet_paper, unet_chords
}


def build(config: Mapping[str, Any]) -> tuple[TrainConfig, Task]:
    """The clock and the task that a config describes.

    Raises:
      Refusal: an unknown wing or key, a wrong type or range.
    """
    values = dict(config)
    name = values.pop("wing", None)
    if name not in WINGS:
        raise Refusal(f"config.wing={name!r} is unknown: choose one of {', '.join(WINGS)}")
    mine, rest = split(values, TrainConfig)
    wing = WINGS[name]
    return to_dataclass(TrainConfig, mine), wing.task(to_dataclass(wing.config, rest))
