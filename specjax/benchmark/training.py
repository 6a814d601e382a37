"""Benchmarks of training: calls of the compiled program that a training calls repeatedly."""

import time
from typing import Any

import jax

from specjax.benchmark.timing import Benchmark, compiler_cost
from specjax.engine import program, sharding, train_state
from specjax.engine.adversarial import AdversarialConfig
from specjax.engine.config import TrainConfig
from specjax.engine.live.values import LiveValues
from specjax.engine.task import Data, Task

_BYTES_PER_PARAMETER = 32.0  # Adam reads and writes the parameter, its gradient and two moments, in float32.


def benchmark_training(
    task: Task, config: TrainConfig, data: Data, flops: float, bytes_moved: float, *, runs: int = 1
) -> Benchmark:
    """Build a benchmark that trains for one dispatch: `program.updates_per_dispatch(config)` updates.

    An update includes the order of the examples, the making of the batch, the gradients, and the metrics.

    Args:
      task: task to train.
      config: training settings.
      data: examples of the task; only the training examples are used.
      flops: least number of floating-point operations per item. An item is an example of a batch of one model.
      bytes_moved: least number of bytes per item that an update reads and writes, besides the training state.
      runs: number of runs that are trained in turn by one call, each with a state of its own.

    Raises:
      UserError: the batch size is not a multiple of the number of devices that share a batch.
    """
    mesh = program.mesh_of(task)
    sharding.check_batch(mesh, config.batch_size)
    updates = program.updates_per_dispatch(config)
    inputs = program.place(data.train, task.frozen(), task, mesh)
    live = LiveValues(task.live_values(config.steps), mesh)(0, updates)
    states = [program.init(task, config, mesh) for _ in range(runs)]
    begin = time.perf_counter()
    update = program.compile_update(task, config, mesh, data.train_count, states[0], inputs, live, updates=updates)
    compile_s = time.perf_counter() - begin

    def call() -> list[Any]:
        metrics = []
        for i, state in enumerate(states):
            states[i], outputs = update(state, inputs, live)  # the buffers of the state are donated
            metrics.append(outputs.metrics)
        return metrics

    networks = train_state.networks(states[0].state).values()
    parameters = runs * sum(x.size for network in networks for x in jax.tree.leaves(network.params))
    items = config.batch_size * task.models * updates * runs
    moved = items * bytes_moved + updates * _BYTES_PER_PARAMETER * parameters
    compiled_flops, compiled_bytes = compiler_cost(update)
    return Benchmark(call, items, compile_s, items * flops, moved, runs * compiled_flops, runs * compiled_bytes)


def adversarial_flops(config: AdversarialConfig, generator: float, discriminator: float) -> float:
    """Return the number of floating-point operations per example of one update of a discriminator and of a generator.

    A backward pass counts as two forward passes; one to the inputs alone, which the generator's update needs of the
    discriminator, counts as one.

    Args:
      config: settings of the update.
      generator, discriminator: number of operations of a forward pass.
    """
    # The penalty `difference` scores each example twice; `gradient` takes another backward pass, and its derivative.
    passes = {"none": 3, "difference": 6, "gradient": 9}[config.penalty.kind]
    real = 1 if config.loss == "relativistic" else 0
    return generator + 2 * passes * discriminator + 3 * generator + (2 + real) * discriminator
