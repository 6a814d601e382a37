"""The contract between the engine and a task: what there must be to train, evaluate, sample and export something.

A task is a frozen dataclass of pure functions. The engine owns the order of examples, sharding, compilation,
checkpoints and logging; it knows a task through this module alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, Key, UInt8

from specjax.engine.live.value import LiveValue

Tree = Any
Examples = Any  # pytree of arrays; their lengths may differ, as with 1,500 clips and 4,500 pictures
State = Any  # pytree of everything that must survive a restart, with a `TrainState` for each trained network
Batch = Any
Metrics = dict[str, Array]


class Data(NamedTuple):
    """Examples to train on and to evaluate with; arrays are on the host.

    train_count, held_out_count: indices run from 0 up to these counts; one pass over them is an epoch.
    """

    train: Examples
    held_out: Examples
    train_count: int
    held_out_count: int


@dataclass(frozen=True)
class Shardings:
    """PartitionSpec prefixes over the mesh axes `data` and `ensemble`; a single one holds for a whole tree."""

    state: Any = P()
    examples: Any = P()
    batch: Any = P("data")
    measures: Any = P("data")


class Sample(NamedTuple):
    """Pictures to look at and sounds to listen to, by name."""

    pictures: dict[str, UInt8[np.ndarray, "height width 3"]]
    sounds: dict[str, Float[np.ndarray, " samples"]]
    sample_rate: int


class Part(NamedTuple):
    """One part of an exported bundle, such as a network: its arrays, and its settings as JSON (the card)."""

    tensors: Tree
    card: dict[str, Any]


@runtime_checkable
class Task(Protocol):
    """What the engine asks of a task. `init`, `batch`, `step` and `evaluate` are called under `jit`."""

    @property
    def name(self) -> str:
        """`paper/task`, its key in `papers.TASKS`."""
        ...

    @property
    def models(self) -> int:
        """Number of independent models on the leading axis of the state; 1 for a state without such an axis."""
        ...

    @property
    def shardings(self) -> Shardings:
        """PartitionSpecs of the state, the examples, the batches and the measures."""
        ...

    @property
    def headline(self) -> tuple[str, ...]:
        """Names of the metrics that the progress line on the terminal shows."""
        ...

    def live_values(self, steps: int) -> Mapping[str, LiveValue]:
        """Return the values that follow the step and may be changed while a training of `steps` updates runs."""
        ...

    def load(self) -> Data:
        """Read the training and the held-out examples from their source.

        Raises:
          UserError: a source is missing or unusable.
        """
        ...

    def frozen(self) -> Tree:
        """Return inputs that are used but not optimized, such as a network opened from a bundle, on the host.

        They are replicated on every device and left out of checkpoints; each checkpoint's metadata holds their digests.

        Raises:
          UserError: a bundle is missing or unusable.
        """
        ...

    def init(self, key: Key[Array, ""]) -> State:
        """Create the initial training state: parameters, optimizer states, counters."""
        ...

    def batch(self, examples: Examples, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        """Make the inputs of one update: gather the examples, augment them, make targets.

        Random numbers of example i may depend only on `key` and i, so that results do not depend on the batch size.
        """
        ...

    def step(
        self, state: State, batch: Batch, frozen: Tree, live: Mapping[str, Array], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """Run one update and return the new state and its metrics.

        Metrics are arrays of any shape and name. The engine logs their mean, and the entries of short vectors.
        """
        ...

    def evaluate(
        self, state: State, examples: Examples, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        """Measure held-out examples. Each measure has a leading axis of `batch`; an embedding is a measure too."""
        ...

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Reduce the measures of all held-out examples to scalar metrics, on the host."""
        ...

    def sample(self, state: State, examples: Examples, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Make pictures and sounds of a few held-out examples, on the host."""
        ...

    def parts(self, state: State, frozen: Tree) -> dict[str, Part]:
        """Return the parts of the exported bundle, including the frozen inputs that inference needs."""
        ...


class SingleModel:
    """Defaults of a task: one model, replicated state and examples, nothing frozen."""

    models: int = 1
    shardings: Shardings = Shardings()
    headline: tuple[str, ...] = ("loss",)

    def frozen(self) -> Tree:
        """Nothing is frozen."""
        return {}
