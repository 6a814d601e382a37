"""The training loop on the host: dispatches updates, logs, evaluates, samples and saves.

A resumed run ends with the same bits as an uninterrupted one, for two reasons. Random numbers and the order of the
examples are pure functions of (seed, stream name, step). A setting that a user changes while training runs is flushed
to disk before it is used.
"""

import logging
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from specjax.cli.errors import DivergedError, UserError
from specjax.data import order
from specjax.engine import program, sharding, train_state
from specjax.engine.checkpoint import Checkpoints
from specjax.engine.config import INTERVALS, TrainConfig
from specjax.engine.live.changes import Changes, find_value
from specjax.engine.live.values import LiveValues, all_live_values
from specjax.engine.program import Inputs, Outputs, Run, Update
from specjax.engine.report.profiler import Profiler
from specjax.engine.report.progress import Progress
from specjax.engine.report.writer import NullWriter, Writer
from specjax.engine.resume import describe_inputs, restore_or_init
from specjax.engine.task import Data, Task, Tree
from specjax.engine.workdir import StopRequest

MAX_LISTED = 16  # a metric that is a longer vector is logged only as its mean

_log = logging.getLogger("specjax")


def train(
    task: Task,
    config: TrainConfig,
    workdir: Path,
    metadata: dict[str, Any],
    stop: StopRequest,
    *,
    allow_changes: bool = False,
) -> Run:
    """Train `task` until step `config.steps`, resuming from the newest intact checkpoint in `workdir` if there is one.

    Args:
      workdir: folder of the run.
      metadata: entries to store in each checkpoint, such as library versions. The entry `config` is also written to
        `config.json`.
      stop: checked before each call of the compiled update program. When it asks to stop, training saves and ends.
      allow_changes: whether a run may be resumed with other settings of the task, another seed or batch size, or other
        examples. The change is then recorded in its checkpoints.

    Returns:
      The run after its latest update, which is also saved as a checkpoint.

    Raises:
      UserError: the examples, the batch size or a checkpoint cannot be used; a frozen array, such as a parameter of a
        pretrained network, has changed since the run began; its config or its examples have, without `allow_changes`;
        too many consecutive updates were skipped because a value was not finite; or `workdir` cannot be written.
    """
    mesh = program.mesh_of(task)
    sharding.check_batch(mesh, config.batch_size)
    data, frozen = task.load(), task.frozen()
    if data.train_count < config.batch_size:
        raise UserError(
            f"there are {data.train_count} training examples, fewer than batch_size={config.batch_size}: add examples, "
            "or lower --config.batch_size"
        )
    metadata = metadata | describe_inputs(data, frozen)
    if not data.held_out_count:
        _log.warning("no examples are held out: the run is neither evaluated nor sampled")
    checkpoints = Checkpoints(workdir.resolve() / "checkpoints", config.keep_checkpoints)
    with closing(checkpoints):
        run, metadata = restore_or_init(task, config, checkpoints, metadata, mesh, allow_changes=allow_changes)
        try:
            with closing(_open_writer(workdir, run, metadata)) as writer:
                host = _Host(task, config, workdir, metadata, mesh, checkpoints, writer, data, frozen, run)
                with closing(host.profiler):
                    return host.train(stop)
        except OSError as error:
            message = f"workdir {workdir} cannot be written ({error}): make room, then run the same command again"
            raise UserError(message) from error


def _open_writer(workdir: Path, run: Run, metadata: Mapping[str, Any]) -> Writer | NullWriter:
    """Open the log of a run in process 0; other processes write nothing."""
    if jax.process_index() != 0:
        return NullWriter()
    writer = Writer(workdir, int(run.step))
    writer.write_hparams(metadata.get("config", {}))
    return writer


class _Host:
    """Host side of the training loop.

    It calls the compiled update program. Between two calls, it logs metrics, evaluates on held-out examples, writes
    sample pictures and sounds, and saves checkpoints.
    """

    def __init__(
        self,
        task: Task,
        config: TrainConfig,
        workdir: Path,
        metadata: dict[str, Any],
        mesh: jax.sharding.Mesh,
        checkpoints: Checkpoints,
        writer: Writer,
        data: Data,
        frozen: Tree,
        run: Run,
    ) -> None:
        self._task, self._config, self._metadata, self._mesh = task, config, metadata, mesh
        self._checkpoints, self._writer = checkpoints, writer
        self._data, self._frozen = data, frozen
        self._train_inputs = program.place(data.train, frozen, task, mesh)
        self._held_out_inputs: Inputs | None = None  # placed on the devices at the first evaluation
        self._run, self._first_step = run, int(run.step)
        self._saved = self._first_step if checkpoints.steps() else -1
        self._progress = Progress(config.steps, config.batch_size, self._first_step)
        self.profiler = Profiler(config.profile, workdir / "profile")
        self._changes = Changes(workdir, all_live_values(task, config), config.log_every)
        self._updates: dict[tuple[int, frozenset[str]], Update] = {}
        self._measure = program.compile_measures(task, mesh)
        self._pending: tuple[int, int, Outputs] | None = None
        self._alarms: tuple[str, ...] = ()

    def train(self, stop: StopRequest) -> Run:
        """Run updates until the last step or until `stop` asks to stop. The final state is then on disk."""
        steps, step = self._config.steps, self._first_step
        per_dispatch = program.updates_per_dispatch(self._config)
        live_values = LiveValues(self._task.live_values(steps), self._mesh)
        while step < steps and not stop.should_stop(step):
            n = per_dispatch if steps - step >= per_dispatch else 1
            self._changes.poll(step)
            live = live_values(step, n, self._changes.history)
            update = self._get_compiled_update(live, n)
            with jax.transfer_guard("disallow"), self.profiler.trace(step, n):
                self._run, outputs = update(self._run, self._train_inputs, live)
                if self.profiler.running:
                    jax.block_until_ready(outputs)
            self._checkpoints.check()
            # The devices already run the new dispatch while the host logs the previous one.
            self._settle()
            self._pending = (step, step + n, outputs)
            self._do_what_is_due(step, step + n)
            step += n
        self._settle(last=True)
        if step != self._saved:
            self._save(step)
        with self._progress.measure("save"):
            self._checkpoints.wait()
        return self._run

    def _get_compiled_update(self, live: Mapping[str, Array], steps: int) -> Update:
        """Return the update program for this number of updates and these live values, compiling it if necessary.

        Live values are settings that may be changed while training runs.

        Args:
          live: live values by name, as the program will receive them.
          steps: number of updates per call of the program.
        """
        key = (steps, frozenset(live))
        if key not in self._updates:
            with self._progress.measure("compile"):
                self._updates[key] = program.compile_update(
                    self._task,
                    self._config,
                    self._mesh,
                    self._data.train_count,
                    self._run,
                    self._train_inputs,
                    live,
                    updates=steps,
                )
        return self._updates[key]

    def _settle(self, last: bool = False) -> None:
        """Log the metrics of the pending dispatch, if there is one, and raise an error if updates keep failing.

        A dispatch is one call of the compiled update program. It is pending until its metrics are logged. An update is
        skipped if a value in it is not finite.

        Args:
          last: whether training ends now. The progress line is then printed even if the previous one is very recent.

        Raises:
          UserError: too many consecutive updates were skipped.
        """
        if self._pending is None:
            return
        begin, end, outputs = self._pending
        self._pending = None
        outputs = jax.device_get(outputs)
        speed = self._progress.steps_per_second(end)
        timing = {
            "steps_per_s": speed,
            "items_per_s_per_device": speed * self._config.batch_size * self._task.models / self._mesh.size,
        }
        for i, step in enumerate(range(begin + 1, end + 1)):
            if step % self._config.log_every == 0 or step == self._config.steps:
                scalars = _to_scalars({name: np.asarray(values[i]) for name, values in outputs.metrics.items()})
                for network, health in outputs.health.items():
                    scalars[f"{network}/skipped".lstrip("/")] = float(np.sum(health.skipped[i]))
                self._warn(step, scalars)
                self._writer.write_scalars(step, {f"train/{name}": value for name, value in (scalars | timing).items()})
        headline = {name: float(np.mean(outputs.metrics[name][-1])) for name in self._task.headline}
        self._progress.report(end, headline, last=last)
        self._stop_if_unhealthy(outputs, end)

    def _warn(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log the alarms of the task that were not raised at the previous logged step."""
        alarms = self._task.alarms(scalars)
        for line in alarms:
            if line not in self._alarms:
                _log.warning("step %d: %s", step, line)
        self._alarms = alarms

    def _stop_if_unhealthy(self, outputs: Outputs, step: int) -> None:
        """Raise an error if the latest `max_skipped` updates of a network were all skipped.

        `max_skipped` is a training setting in the config. An update is skipped if a value in it is not finite. In an
        ensemble, each model is checked by itself.

        Args:
          outputs: outputs of a dispatch, which is one call of the compiled update program.
          step: number of updates at the end of that dispatch.

        Raises:
          UserError: updates were skipped. The message names each such network and model, the cause, and the indices of
            the examples in the latest batch.
        """
        limit = self._config.max_skipped
        causes = []
        for network, health in outputs.health.items():
            skipped, leaves = np.atleast_1d(health.skipped_in_a_row[-1]), np.atleast_1d(health.nonfinite_leaf[-1])
            for model in np.flatnonzero(skipped >= limit):
                name = network + (f" of model {model}" if len(skipped) > 1 else "")
                causes.append(f"{name}{': ' if name else ''}{self._describe_cause(network, int(leaves[model]))}")
        if not causes:
            return
        self._checkpoints.wait()
        key = order.stream(self._config.seed, "order")
        indices = order.batch_indices(key, jnp.int32(step - 1), self._config.batch_size, self._data.train_count)
        raise DivergedError(
            f"the last {limit} updates up to step {step} were not finite and were skipped ({'; '.join(causes)}; the "
            f"last on examples {', '.join(map(str, np.asarray(indices).tolist()))}): lower the learning rate or the "
            "loss weights, or check those examples; the last checkpoint is intact"
        )

    def _describe_cause(self, network: str, leaf: int) -> str:
        """Describe where the latest update of a network was not finite, as text for an error message.

        Args:
          network: path of the network in the training state, such as `generator/0`; "" if the state is a single
            network.
          leaf: index of the first gradient leaf that was not finite; -1 if all gradients were finite.
        """
        params = train_state.networks(self._run.state)[network].params
        paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]
        return (
            f"first in the gradient of {paths[leaf]}"
            if leaf >= 0
            else "in the loss, the step or the running statistics"
        )

    def _do_what_is_due(self, before: int, step: int) -> None:
        """Evaluate, write sample pictures and sounds, and save a checkpoint, each only if it is due.

        The intervals are `eval_every`, `sample_every` and `checkpoint_every`. An action is due if a multiple of its
        interval lies in (before, step]. At the last step of the run, samples are always due, and evaluation is due if
        its interval is not 0. Without held-out examples neither is. The last checkpoint is saved by the caller.

        Args:
          before: number of updates before the latest call of the compiled update program.
          step: number of updates after this call.
        """
        last = step == self._config.steps
        every = {name: self._find_interval(name, before) for name in INTERVALS}
        comparable = self._data.held_out_count > 0
        evaluating = comparable and every["eval_every"] and (_is_due(before, step, every["eval_every"]) or last)
        sampling = comparable and (_is_due(before, step, every["sample_every"]) or last)
        saving = _is_due(before, step, every["checkpoint_every"]) and not last
        if evaluating or sampling or saving:
            self._settle(last=last)
        if evaluating:
            with self._progress.measure("eval"):
                self._writer.write_scalars(step, self._evaluate())
        if sampling:
            with self._progress.measure("eval"):
                self._sample(step)
        if saving:
            self._save(step)

    def _evaluate(self) -> dict[str, float]:
        if self._held_out_inputs is None:
            self._held_out_inputs = program.place(self._data.held_out, self._frozen, self._task, self._mesh)
        return program.evaluate(
            self._task,
            self._measure,
            self._run.state,
            self._held_out_inputs,
            program.choose_held_out(self._data, self._config.eval_examples),
            mesh=self._mesh,
            batch=self._config.eval_batch,
            seed=self._config.seed,
        )

    def _find_interval(self, name: str, step: int) -> int:
        """Return the interval `name`, such as `eval_every`, that applies at update `step`, in steps.

        It is the interval in the config unless the user has changed it while training runs.
        """
        changed = find_value(self._changes.history, name, step)
        return getattr(self._config, name) if changed is None else int(changed)

    def _sample(self, step: int) -> None:
        state = sharding.to_host(self._run.state)
        if jax.process_index() == 0:
            key = jax.random.fold_in(order.stream(self._config.seed, "sample"), step)
            sample = self._task.sample(state, self._data.held_out, self._frozen, key)
            self._writer.write_images(step, sample.pictures)
            self._writer.write_audios(step, sample.sounds, sample_rate=sample.sample_rate)

    def _save(self, step: int) -> None:
        with self._progress.measure("save"):
            self._checkpoints.save(step, self._run, self._metadata)
        self._saved = step


def _to_scalars(metrics: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Convert metrics to scalars for the log.

    Every metric is logged as its mean, under its own name. The entries of a vector of at most `MAX_LISTED` entries are
    also logged, as `name/0`, `name/1` and so on.
    """
    scalars = {name: float(np.mean(value)) for name, value in metrics.items()}
    for name, value in metrics.items():
        if value.ndim == 1 and len(value) <= MAX_LISTED:
            scalars |= {f"{name}/{i}": float(entry) for i, entry in enumerate(value)}
    return scalars


def _is_due(before: int, now: int, every: int) -> bool:
    """Return whether a multiple of `every` lies in the interval (before, now]; False if `every` is 0."""
    return every > 0 and before // every < now // every
