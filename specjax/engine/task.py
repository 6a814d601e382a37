"""Interface between the training engine and a task: the methods that a task provides, and the data that they exchange.

A task defines the data, the networks, the losses, the metrics and the samples of a training run. It is a frozen
dataclass whose `init`, `batch`, `step` and `evaluate` are pure functions. The engine chooses the order of the examples,
and handles sharding, compilation, checkpoints and logging. It knows nothing about a task beyond this interface.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, Key, UInt8

from specjax.engine.live.value import LiveValue

Tree = Any
Examples = Any  # pytree of arrays; their leading axes may differ in length (1,500 clips and 4,500 pictures)
State = Any  # pytree of everything that a checkpoint must hold, with one `TrainState` per trained network
Batch = Any  # pytree of arrays: the inputs of one update
Metrics = dict[str, Array]  # by name


class Data(NamedTuple):
    """Training examples and held-out (validation) examples, in host memory.

    train: arrays from which `Task.batch` gathers the examples of an update.
    held_out: arrays from which `Task.evaluate` gathers the examples to evaluate.
    train_count: number of training examples. Their indices are 0 to `train_count - 1`; an epoch visits each index once.
    held_out_count: number of held-out examples. Their indices are 0 to `held_out_count - 1`.
    """

    train: Examples
    held_out: Examples
    train_count: int
    held_out_count: int


@dataclass(frozen=True)
class Shardings:
    """PartitionSpecs for the arrays of a task, over the mesh axes `data` and `ensemble`.

    Each field is a pytree prefix of PartitionSpecs; a single PartitionSpec applies to the whole tree.

    state: training state.
    examples: training examples and held-out examples.
    batch: result of `Task.batch`, the inputs of one update.
    eval_indices: argument `indices` of `Task.evaluate`. With `P("data")`, each device along the mesh axis `data`
      evaluates different held-out examples.
    """

    state: Any = P()
    examples: Any = P()
    batch: Any = P("data")
    eval_indices: Any = P("data")


class Sample(NamedTuple):
    """Pictures and sounds that show what a model currently produces; saved during training for people to inspect.

    pictures: 8-bit RGB images by name.
    sounds: mono waveforms by name, with samples in [-1, 1].
    sample_rate: sample rate of the sounds in Hz.
    """

    pictures: dict[str, UInt8[np.ndarray, "height width 3"]]
    sounds: dict[str, Float[np.ndarray, " samples"]]
    sample_rate: int


class Part(NamedTuple):
    """One part of an exported bundle, such as a network.

    tensors: pytree of arrays, such as the parameters of the network.
    card: JSON-serializable settings, such as the config of the network.
    """

    tensors: Tree
    card: dict[str, Any]


@runtime_checkable
class Task(Protocol):
    """A training problem, as the engine sees it: its data, networks, losses, metrics and exported parts.

    The code of each research paper in specjax implements this protocol once per model that it trains. The engine calls
    `init`, `batch`, `step` and `evaluate` under `jit`, and everything else on the host.
    """

    @property
    def name(self) -> str:
        """Name of the task, which is its key in `specjax.papers.TASKS`, such as `chord/unet`.

        The word before the slash names the subpackage of `specjax.papers` that defines the task.
        """
        ...

    @property
    def models(self) -> int:
        """Number of independent models trained together (an ensemble), stacked along the leading axis of the state.

        It is 1 for a state without such an axis.
        """
        ...

    @property
    def shardings(self) -> Shardings:
        """PartitionSpecs of the state, the examples, the training batches and the evaluation batches."""
        ...

    @property
    def headline(self) -> tuple[str, ...]:
        """Names of the metrics returned by `step` that the progress line on the terminal shows."""
        ...

    def live_values(self, steps: int) -> Mapping[str, LiveValue]:
        """Return the live values of a training run of `steps` updates, by name.

        A live value, such as a loss weight, follows a schedule and may be changed by the user while the training runs.
        """
        ...

    def load(self) -> Data:
        """Read the training examples and the held-out examples from their source, such as a folder of images.

        Raises:
          UserError: a source is missing or unusable.
        """
        ...

    def frozen(self) -> Tree:
        """Return inputs that training uses but does not optimize, such as a pretrained network loaded from a bundle.

        The result is a pytree of host arrays. The engine copies the arrays to every device. Checkpoints store a digest
        (hash) of each array, but not the arrays.

        Raises:
          UserError: a bundle is missing or unusable.
        """
        ...

    def init(self, key: Key[Array, ""]) -> State:
        """Create the initial training state: parameters, optimizer states, counters."""
        ...

    def batch(self, examples: Examples, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        """Make the inputs of one update: gather the examples at `indices`, augment them, and compute their targets.

        Random numbers for the i-th example of the batch may depend only on `key` and i, so that they do not change with
        the batch size.

        Args:
          examples: all training examples, on the devices.
          indices: indices of the examples in this batch.
          key: random key for this update.
        """
        ...

    def step(
        self, state: State, batch: Batch, frozen: Tree, live: Mapping[str, Array], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """Run one update on a batch, and return the new state and the metrics of the update.

        Metrics may be arrays of any shape. The engine logs the mean of each, and also every entry of a short vector.

        Args:
          state: training state before the update.
          batch: inputs of the update, as returned by the method `batch`.
          frozen: arrays that are used but not trained, such as a pretrained network (see `frozen`), on the devices.
          live: current live values, such as the learning rate, by name.
          key: random key for this update.
        """
        ...

    def alarms(self, metrics: Mapping[str, float]) -> tuple[str, ...]:
        """Return warnings about a training run that goes wrong, such as a GAN whose generator has collapsed.

        Args:
          metrics: metrics of a logged update by name, each averaged over its entries.

        Returns:
          One line for each warning. A warning is shown once, and again only if it reappears after it was absent.
        """
        ...

    def evaluate(
        self, state: State, examples: Examples, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        """Compute measures, such as errors or embeddings, for a batch of held-out examples.

        Args:
          state: training state.
          examples: all held-out examples, on the devices.
          indices: indices of the examples to evaluate.
          frozen: arrays that are used but not trained, such as a pretrained network, on the devices.
          key: random key, the same for every batch.

        Returns:
          Arrays by name, each with a leading axis of length `batch`.
        """
        ...

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Reduce the results of `evaluate` to scalar metrics by name, on the host.

        Args:
          measures: arrays by name, as `evaluate` returns them for a batch, concatenated over all held-out examples.
        """
        ...

    def sample(self, state: State, examples: Examples, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Make pictures and sounds for a few held-out examples, on the host.

        Args:
          state: training state, as host arrays.
          examples: all held-out examples, as host arrays.
          frozen: arrays that are used but not trained, such as a pretrained network, as host arrays.
          key: random key that depends on the current step.
        """
        ...

    def parts(self, state: State, frozen: Tree) -> dict[str, Part]:
        """Return the parts of the trained model to export for inference, such as networks, by name.

        Args:
          state: training state, as host arrays.
          frozen: arrays that were used but not trained, such as a pretrained network. Arrays that inference needs must
            be included in the result.
        """
        ...


class SingleModel:
    """Base class of tasks that train a single model, with default attributes.

    State and examples are replicated on every device, and there are no frozen inputs, alarms or samples.
    """

    models: int = 1
    shardings: Shardings = Shardings()
    headline: tuple[str, ...] = ("loss",)

    def frozen(self) -> Tree:
        """Return an empty dict, because training uses no fixed arrays such as a pretrained network."""
        return {}

    def alarms(self, metrics: Mapping[str, float]) -> tuple[str, ...]:
        """Return no warnings."""
        return ()

    def sample(self, state: State, examples: Examples, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Make no pictures and no sounds."""
        return Sample({}, {}, 1)
