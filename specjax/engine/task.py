"""What a wing must offer to be trained, judged and shipped."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt8

from specjax.engine.live.value import LiveValue

Examples = Any  # pytree of arrays with one leading axis of examples
State = Any  # pytree of everything that must survive a restart
Batch = Any
Metrics = dict[str, Array]


class Sample(NamedTuple):
    """Things to look at and to listen to."""

    pictures: dict[str, UInt8[np.ndarray, "height width 3"]]
    sounds: dict[str, Float[np.ndarray, " samples"]]
    sample_rate: int


class Part(NamedTuple):
    """A named part of a bundle: a tree of arrays, and what it takes to use them, as JSON."""

    tensors: Any
    card: dict[str, Any]


@runtime_checkable
class Task(Protocol):
    """Six verbs, the knobs of what may change while training runs, and a seventh verb for leaving the house.

    `init`, `batch`, `step` and `evaluate` are pure and are called under `jit`; the engine owns order, sharding,
    compilation and the clock.
    """

    @property
    def name(self) -> str:
        """What the wing is called."""
        ...

    @property
    def live_values(self) -> Mapping[str, LiveValue]:
        """What may change with the step: the engine evaluates them and hands their values to `step`."""
        ...

    def load(self) -> tuple[Examples, Examples]:
        """Training and held-out examples, on the host."""
        ...

    def init(self, key: Key[Array, ""]) -> State:
        """Fresh state."""
        ...

    def batch(self, examples: Examples, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        """The batch of a step: gather, augment, make targets. Example i of the batch may use only its own key."""
        ...

    def step(self, state: State, batch: Batch, live: Mapping[str, Array], key: Key[Array, ""]) -> tuple[State, Metrics]:
        """One update. Metrics are scalars; `loss` is among them, and `skipped` counts refused updates."""
        ...

    def evaluate(self, state: State, examples: Examples) -> Metrics:
        """Measures of each example of a batch of held-out ones: arrays with the examples' leading axis."""
        ...

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Figures of a whole held-out set from the measures of its examples."""
        ...

    def sample(self, state: State, examples: Examples) -> Sample:
        """Pictures and sounds of a few held-out examples, on the host."""
        ...

    def parts(self, state: State) -> dict[str, Part]:
        """What leaves the house."""
        ...
