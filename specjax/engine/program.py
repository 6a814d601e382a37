"""Compiled programs: initialization, training updates, and evaluation on held-out examples.

Random numbers and the order of the examples are pure functions of (seed, stream name, step). A checkpoint therefore
needs no random-number state: its arrays are those of a `Run`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from math import gcd
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Int, Int32

from specjax.data import order
from specjax.engine import sharding, train_state
from specjax.engine.config import TrainConfig
from specjax.engine.task import Data, Examples, Metrics, State, Task, Tree


class Run(NamedTuple):
    """State of a training run, as saved in a checkpoint.

    step: number of updates so far, including updates that were skipped because a value was not finite.
    state: training state of the task.
    """

    step: Int[Array, ""]
    state: State


class Inputs(NamedTuple):
    """Read-only inputs of training or evaluation, on the devices.

    examples: all training examples, or all held-out examples.
    frozen: inputs of the task that are not optimized.
    """

    examples: Examples
    frozen: Tree


class Outputs(NamedTuple):
    """Outputs of one or more updates, each array stacked along a leading axis of updates.

    metrics: metrics of the updates, by name.
    health: counters of skipped updates, by network. A key is the path of a network in the training state, such as
      `generator/0`. If the state is a single network, the key is "".
    """

    metrics: Metrics
    health: dict[str, train_state.Health]


Update = Callable[[Run, Inputs, Mapping[str, Array]], tuple[Run, Outputs]]


def mesh_of(task: Task) -> Mesh:
    """Make the device mesh for a task: all devices, with axes `ensemble` and `data`.

    The size of `ensemble` is the greatest common divisor of the number of devices and `task.models`, the number of
    models that the task trains together.
    """
    return sharding.make_mesh(gcd(task.models, jax.device_count()))


def place(examples: Examples, frozen: Tree, task: Task, mesh: Mesh) -> Inputs:
    """Copy the inputs of training or evaluation from the host to the devices.

    Args:
      examples: training or held-out examples, to be sharded by `task.shardings.examples`.
      frozen: arrays that are used but not trained, such as a pretrained network; to be replicated on every device.
      task: the task.
      mesh: mesh of the devices.
    """
    return Inputs(sharding.place(examples, mesh, task.shardings.examples), sharding.place(frozen, mesh))


def init(task: Task, config: TrainConfig, mesh: Mesh) -> Run:
    """Create a run at step 0, with the initial state of the task on the devices."""
    shardings = _run_shardings(task, mesh)
    return jax.jit(partial(_init, task), out_shardings=shardings)(order.stream(config.seed, "init"))


def abstract_run(task: Task, mesh: Mesh) -> Run:
    """Return a `Run` of `jax.ShapeDtypeStruct`s with shapes, dtypes and shardings, without computing any array.

    A checkpoint is restored into this structure.
    """
    shapes = jax.eval_shape(partial(_init, task), jax.random.key(0))
    shardings = sharding.broadcast_prefix(_run_shardings(task, mesh), shapes)
    return jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, shardings)


def updates_per_dispatch(config: TrainConfig) -> int:
    """Return the number of updates per call of the compiled program, which `config` may leave to the kind of device."""
    return config.steps_per_dispatch or (1 if jax.default_backend() == "cpu" else 32)


def compile_update(
    task: Task,
    config: TrainConfig,
    mesh: Mesh,
    count: int,
    run: Run,
    inputs: Inputs,
    live: Mapping[str, Array],
    *,
    updates: int = 1,
) -> Update:
    """Compile the program that runs one or more updates per call.

    The program donates the buffers of its first argument: a run that was passed to it must not be used again.

    Args:
      task: the task to train.
      config: training settings.
      mesh: mesh of the devices.
      count: number of training examples.
      run: example of the first argument; only its shapes and shardings matter.
      inputs: example of the second argument: training examples, and arrays that are used but not trained.
      live: example of the third argument: settings that may be changed while training runs, such as loss weights, by
        name. Each has a leading axis with one entry per update.
      updates: number of updates per call.

    Returns:
      Function from (run, inputs, live) to the new run and the outputs.
    """
    outputs = sharding.replicated_sharding(mesh)
    jitted = jax.jit(
        partial(_updates, task, config, mesh, count, updates),
        donate_argnums=0,
        out_shardings=(_run_shardings(task, mesh), outputs),
    )
    with jax.set_mesh(mesh):
        return jitted.lower(run, inputs, live).compile()


def compile_measures(task: Task, mesh: Mesh) -> Callable[..., Metrics]:
    """Return a jitted version of `task.evaluate`, called with (state, inputs, indices, key).

    Its results are replicated on every device.
    """

    def measure(state: State, inputs: Inputs, indices: Int[Array, " batch"], key: Array) -> Metrics:
        return task.evaluate(state, inputs.examples, indices, inputs.frozen, key)

    return jax.jit(measure, out_shardings=sharding.replicated_sharding(mesh))


def evaluate(
    task: Task,
    measure: Callable[..., Metrics],
    state: State,
    inputs: Inputs,
    examples: Int32[np.ndarray, " examples"],
    *,
    mesh: Mesh,
    batch: int,
    seed: int,
) -> dict[str, float]:
    """Evaluate held-out examples, and return scalar metrics by name.

    `measure` gives results for each batch, and `task.summarize` reduces the results of all batches to scalars. Every
    example counts exactly once on any number of devices: results for the padding of the last batch are dropped.

    Args:
      measure: jitted version of `task.evaluate`, made by `compile_measures`.
      state: training state of the task.
      inputs: held-out examples, and arrays that are used but not trained, such as a pretrained network.
      examples: indices of the examples to evaluate, see `choose_held_out`.
      batch: examples per batch, rounded up to a multiple of the size of the mesh axis `data`.
      seed: seed of the random key.
    """
    batch = -(-batch // mesh.shape["data"]) * mesh.shape["data"]
    key = jax.device_put(order.stream(seed, "evaluate"), sharding.replicated_sharding(mesh))
    measures: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(examples), batch):
        rows = examples[np.minimum(np.arange(start, start + batch), len(examples) - 1)]  # pads the last batch
        with jax.set_mesh(mesh):
            result = measure(state, inputs, sharding.place(rows, mesh, task.shardings.eval_indices), key)
        for name, values in sharding.to_host(result).items():
            measures.setdefault(name, []).append(values[: len(examples) - start])
    return task.summarize({name: np.concatenate(parts) for name, parts in measures.items()})


def choose_held_out(data: Data, limit: int) -> Int32[np.ndarray, " examples"]:
    """Choose the held-out examples to evaluate: at most `limit`, or all of them if `limit` is 0.

    They are spread evenly over all, which may be sorted by class.
    """
    count = min(limit, data.held_out_count) if limit else data.held_out_count
    return np.linspace(0, data.held_out_count - 1, count).round().astype(np.int32)


def _init(task: Task, key: Array) -> Run:
    return Run(jnp.zeros((), jnp.int32), task.init(key))


def _run_shardings(task: Task, mesh: Mesh) -> Tree:
    return Run._make((sharding.replicated_sharding(mesh), sharding.to_named_shardings(mesh, task.shardings.state)))


def _updates(
    task: Task,
    config: TrainConfig,
    mesh: Mesh,
    count: int,
    updates: int,
    run: Run,
    inputs: Inputs,
    live: Mapping[str, Array],
) -> tuple[Run, Outputs]:
    """Run one or more updates, and return the new run and the outputs of all updates.

    Args:
      count: number of training examples.
      updates: number of updates.
      run: run before the updates.
      inputs: training examples, and arrays that are used but not trained.
      live: settings that may be changed while training runs, such as loss weights, by name. Each has a leading axis
        with one entry for each update.

    Returns:
      The run after the last update, and the outputs with a leading axis of updates.
    """
    order_key, batch_key, step_key = (order.stream(config.seed, name) for name in ("order", "batch", "step"))

    def one(run: Run, live: Mapping[str, Array]) -> tuple[Run, Outputs]:
        indices = order.batch_indices(order_key, run.step, config.batch_size, count)
        batch = task.batch(inputs.examples, indices, jax.random.fold_in(batch_key, run.step))
        batch = sharding.constrain(batch, mesh, task.shardings.batch)
        key = jax.random.fold_in(step_key, run.step)
        state, metrics = task.step(run.state, batch, inputs.frozen, live, key)
        return Run(run.step + 1, state), Outputs(metrics, train_state.health(state))

    if updates > 1:
        return jax.lax.scan(one, run, live, length=updates)
    run, outputs = one(run, jax.tree.map(lambda x: x[0], live))
    return run, jax.tree.map(lambda x: x[None], outputs)
