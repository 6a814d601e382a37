"""The one training loop.

A reader in a hurry may go straight to `_dispatch`, which is what the devices run, and to `train`, which is what the
host does around it. Everything random or ordered is a pure function of (seed, step); a checkpoint holds the state
and nothing else, and a resumed run ends with the same bits as one that was never stopped.
"""

import logging
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Int

from specjax.cli.errors import UserError
from specjax.data import order
from specjax.engine import sharding as meshes
from specjax.engine.checkpoint import Checkpoints
from specjax.engine.config import INTERVALS, TrainConfig
from specjax.engine.live.changes import Changes, value_at
from specjax.engine.live.values import LiveValues, all_live_values
from specjax.engine.report.profiler import Profiler
from specjax.engine.report.progress import Progress
from specjax.engine.report.writer import NullWriter, Writer
from specjax.engine.task import Examples, Metrics, State, Task
from specjax.engine.train_state import TrainState
from specjax.engine.workdir import StopRequest

log = logging.getLogger("specjax")


class Run(NamedTuple):
    """What a checkpoint holds: updates attempted, and the task's state."""

    step: Int[Array, ""]
    state: State


def train(
    task: Task,
    config: TrainConfig,
    workdir: Path,
    facts: dict[str, Any],
    stop: StopRequest,
    ensemble: int = 1,
) -> Run:
    """Train `task` to `config.steps`, from the newest intact checkpoint in `workdir` where there is one.

    Args:
      facts: what each checkpoint says of the run (versions, and its `config`, which is written beside them too).
      stop: asked between dispatches; once it says so, the state is saved and training ends.

    Raises:
      UserError: the examples, the batch or a checkpoint cannot be used; updates are no longer finite; disk trouble.
    """
    mesh = meshes.make_mesh(ensemble)
    meshes.check_batch(mesh, config.batch_size)
    train_examples, held_out = task.load()
    checkpoints = Checkpoints(workdir.resolve() / "checkpoints", config.keep_checkpoints)
    with closing(checkpoints):
        run = _restore_or_init(task, config, checkpoints, mesh)
        if jax.process_index() == 0:
            writer = Writer(workdir, int(run.step))
            writer.write_hparams(facts.get("config", {}))
        else:
            writer = NullWriter()
        with closing(writer):
            examples = meshes.replicate(train_examples, mesh)
            host = _Host(task, config, workdir, facts, mesh, checkpoints, writer, examples, held_out, run)
            try:
                return host.run_to_the_end(stop)
            except OSError as error:
                message = f"workdir {workdir} cannot be written ({error}): make room, then run the same again"
                raise UserError(message) from error


class _Host:
    """The host's side of one training: dispatches, and what is due between them."""

    def __init__(
        self,
        task: Task,
        config: TrainConfig,
        workdir: Path,
        facts: dict[str, Any],
        mesh: Mesh,
        checkpoints: Checkpoints,
        writer: Writer,
        examples: Examples,
        held_out: Examples,
        run: Run,
    ) -> None:
        self._task, self._config, self._facts, self._mesh = task, config, facts, mesh
        self._checkpoints, self._writer = checkpoints, writer
        self._examples, self._held_out = examples, held_out
        self._run, self._first_step = run, int(run.step)
        self._saved = self._first_step if checkpoints.steps() else -1
        self._progress = Progress(config.steps, config.batch_size, self._first_step)
        self._profiler = Profiler(config.profile, workdir / "profile")
        self._changes = Changes(workdir, all_live_values(task, config), config.log_every)
        self._programs: dict[tuple[int, frozenset[str]], Callable[..., tuple[Run, Metrics]]] = {}
        self._measure = jax.jit(task.evaluate, out_shardings=meshes.replicated_sharding(mesh))
        self._pending: tuple[int, int, Metrics] | None = None

    def run_to_the_end(self, stop: StopRequest) -> Run:
        """Dispatch until the last step or a request to stop; the state is on disk when this returns."""
        steps, step = self._config.steps, self._first_step
        per_dispatch = self._config.steps_per_dispatch or (1 if jax.default_backend() == "cpu" else 32)
        values = LiveValues(self._task.live_values, self._mesh)
        while step < steps and not stop.reached(step):
            n = per_dispatch if steps - step >= per_dispatch else 1
            self._changes.poll(step)
            knobs = values(step, n, self._changes.history)
            dispatch = self._compiled(knobs, n)
            with jax.transfer_guard("disallow"), self._profiler.around(step, n):
                self._run, metrics = dispatch(self._run, self._examples, knobs)
            self._checkpoints.check()
            self._settle()
            self._pending = (step, step + n, metrics)
            self._attend(step, step + n)
            step += n
        self._settle(last=True)
        if step != self._saved:
            self._save(step)
        with self._progress.timed("save"):
            self._checkpoints.wait()
        return self._run

    def _compiled(self, knobs: Metrics, steps: int) -> Callable[..., tuple[Run, Metrics]]:
        """The program for so many steps a call and the knobs that take part."""
        program = (steps, frozenset(knobs))
        if program not in self._programs:
            with self._progress.timed("compile"):
                compiled = compile_dispatch(self._task, self._config, self._mesh, self._run, self._examples, knobs)
            self._programs[program] = compiled
        return self._programs[program]

    def _settle(self, last: bool = False) -> None:
        """Log the dispatch before: by now its metrics are there, and the devices are busy with the next."""
        if self._pending is None:
            return
        begin, end, metrics = self._pending
        self._pending = None
        host = {name: np.asarray(values) for name, values in jax.device_get(metrics).items()}
        speed = self._progress.steps_per_second(end)
        timing = {
            "steps_per_s": speed,
            "items_per_s_per_device": speed * self._config.batch_size / self._mesh.size,
        }
        for i, step in enumerate(range(begin + 1, end + 1)):
            if step % self._config.log_every == 0 or step == self._config.steps:
                scalars = {name: float(values[i]) for name, values in host.items()} | timing
                self._writer.write_scalars(step, {f"train/{name}": value for name, value in scalars.items()})
        self._progress.report(end, float(host["loss"][-1]), last=last)
        if host["skipped_in_a_row"][-1] >= self._config.max_skipped:
            self._checkpoints.wait()
            raise UserError(
                f"the last {self._config.max_skipped} updates up to step {end} were not finite and were refused "
                f"({self._diagnosis(end - 1, int(host['nonfinite_leaf'][-1]))}): lower the learning rate or the loss "
                "weights, or look at those examples; the last checkpoint is intact"
            )

    def _diagnosis(self, step: int, leaf: int) -> str:
        """Where update `step` went wrong, in which gradient and on which examples."""
        key = order.stream(self._config.seed, "order")
        count = len(jax.tree.leaves(self._examples)[0])
        indices = order.batch_indices(key, jnp.int32(step), self._config.batch_size, count)
        found = jax.tree.leaves(self._run.state, is_leaf=lambda x: isinstance(x, TrainState))
        params: Any = next((x.params for x in found if isinstance(x, TrainState)), {})
        paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]
        where = f"first in the gradient of {paths[leaf]}" if 0 <= leaf < len(paths) else "in the loss or the step"
        return f"{where}; the last on examples {', '.join(map(str, np.asarray(indices).tolist()))}"

    def _attend(self, before: int, step: int) -> None:
        """Whatever became due between two steps: measuring, sampling, saving."""
        config, last = self._config, step == self._config.steps
        every = {name: self._interval(name, before) for name in INTERVALS}
        measuring = every["eval_every"] and (_due(before, step, every["eval_every"]) or last)
        sampling = _due(before, step, every["sample_every"]) or last
        saving = _due(before, step, every["checkpoint_every"]) and not last
        if measuring or sampling or saving:
            self._settle()
        if measuring:
            with self._progress.timed("eval"):
                chosen = take(self._held_out, config.eval_examples)
                self._writer.write_scalars(
                    step,
                    evaluate(
                        self._task,
                        self._measure,
                        self._run.state,
                        chosen,
                        mesh=self._mesh,
                        batch=config.eval_batch,
                    ),
                )
        if sampling:
            with self._progress.timed("eval"):
                self._sample(step)
        if saving:
            self._save(step)

    def _interval(self, name: str, step: int) -> int:
        changed = value_at(self._changes.history, name, step)
        return getattr(self._config, name) if changed is None else int(changed)

    def _sample(self, step: int) -> None:
        state = meshes.to_host(self._run.state)
        if jax.process_index() == 0:
            sample = self._task.sample(state, self._held_out)
            self._writer.write_images(step, sample.pictures)
            self._writer.write_audios(step, sample.sounds, sample_rate=sample.sample_rate)

    def _save(self, step: int) -> None:
        with self._progress.timed("save"):
            self._checkpoints.save(step, self._run, self._facts)
        self._saved = step


def compile_dispatch(
    task: Task, config: TrainConfig, mesh: Mesh, run: Run, examples: Examples, knobs: Metrics
) -> Callable[[Run, Examples, Metrics], tuple[Run, Metrics]]:
    """`_dispatch` compiled for as many steps a call as `knobs` has rows; its first argument's buffers are reused."""
    jitted = jax.jit(
        partial(_dispatch, task, config, mesh), donate_argnums=0, out_shardings=meshes.replicated_sharding(mesh)
    )
    with jax.set_mesh(mesh):
        return jitted.lower(run, examples, knobs).compile()


def _dispatch(
    task: Task, config: TrainConfig, mesh: Mesh, run: Run, examples: Examples, knobs: Metrics
) -> tuple[Run, Metrics]:
    """As many steps as `knobs` has rows; metrics are stacked along the same axis."""
    order_key, batch_key, step_key = (order.stream(config.seed, name) for name in ("order", "batch", "step"))
    count = jax.tree.leaves(examples)[0].shape[0]

    def one(run: Run, knobs: Metrics) -> tuple[Run, Metrics]:
        indices = order.batch_indices(order_key, run.step, config.batch_size, count)
        batch = task.batch(examples, indices, jax.random.fold_in(batch_key, run.step))
        batch = jax.lax.with_sharding_constraint(batch, meshes.batch_sharding(mesh))
        state, metrics = task.step(run.state, batch, knobs, jax.random.fold_in(step_key, run.step))
        return Run(run.step + 1, state), metrics

    if jax.tree.leaves(knobs)[0].shape[0] > 1:
        return jax.lax.scan(one, run, knobs)
    run, metrics = one(run, jax.tree.map(lambda x: x[0], knobs))
    return run, jax.tree.map(lambda x: x[None], metrics)


def evaluate(
    task: Task,
    evaluate_batch: Callable[[State, Examples], Metrics],
    state: State,
    examples: Examples,
    *,
    mesh: Mesh,
    batch: int,
) -> dict[str, float]:
    """Figures of `examples`, each counted exactly once whatever the number of devices."""
    count = len(jax.tree.leaves(examples)[0])
    batch = -(-batch // mesh.shape["data"]) * mesh.shape["data"]
    sharding = meshes.batch_sharding(mesh)
    measures: dict[str, list[np.ndarray]] = {}
    for start in range(0, count, batch):
        rows = np.minimum(np.arange(start, start + batch), count - 1)  # the last batch repeats its last example
        part = jax.tree.map(
            lambda x, rows=rows: jax.make_array_from_callback(
                (batch, *x.shape[1:]), sharding, lambda index, x=x, rows=rows: x[rows][index]
            ),
            examples,
        )
        with jax.set_mesh(mesh):
            measured = evaluate_batch(state, part)
        for name, values in meshes.to_host(measured).items():
            measures.setdefault(name, []).append(values[: count - start])
    return task.summarize({name: np.concatenate(parts) for name, parts in measures.items()})


def abstract_run(task: Task, mesh: Mesh) -> Run:
    """Shapes and shardings of a run, without computing anything."""
    shapes = jax.eval_shape(partial(_init, task), jax.random.key(0))
    sharding = meshes.replicated_sharding(mesh)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes)


def restore_run(task: Task, config: TrainConfig, workdir: Path) -> Run:
    """The newest intact state in `workdir`; nothing on disk changes.

    Raises:
      UserError: there is none.
    """
    folder = workdir.resolve() / "checkpoints"
    if not folder.is_dir():
        raise UserError(f"{workdir} has no checkpoints: train it first")
    with closing(Checkpoints(folder, config.keep_checkpoints)) as checkpoints:
        restored = checkpoints.restore_newest(abstract_run(task, meshes.make_mesh()), mend=False)
    if restored is None:
        raise UserError(f"{workdir} has no finished checkpoint yet")
    return restored[1]


def take(examples: Examples, count: int) -> Examples:
    """The first `count` examples; all of them for 0."""
    return jax.tree.map(lambda x: x[:count], examples) if count else examples


def _init(task: Task, key: Array) -> Run:
    return Run(jnp.zeros((), jnp.int32), task.init(key))


def _restore_or_init(task: Task, config: TrainConfig, checkpoints: Checkpoints, mesh: Mesh) -> Run:
    restored = checkpoints.restore_newest(abstract_run(task, mesh))
    if restored is None:
        init = jax.jit(partial(_init, task), out_shardings=meshes.replicated_sharding(mesh))
        return init(order.stream(config.seed, "init"))
    step, run, _ = restored
    log.info("resumed at step %d", step)
    return run


def _due(before: int, now: int, every: int) -> bool:
    return every > 0 and before // every < now // every
