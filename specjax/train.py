"""python -m specjax.train --config=unet [--workdir=runs/unet] [--config.steps=2000 ...]

Trains the task that a config describes. If the run was interrupted, the same command resumes it. Resuming with other
task settings, or another seed, batch size or data set, requires --allow_changes.
"""

import importlib.util
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import config_flags

from specjax.cli import app, outputs
from specjax.cli.config import config_names
from specjax.cli.errors import UserError
from specjax.cli.paths import local_path

if TYPE_CHECKING:
    from specjax.engine.task import Task

CONFIG = config_flags.DEFINE_config_file("config", None, "name, name:variant or path of a config", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run (default: runs/NAME or runs/NAME-variant)")
LOCK = flags.DEFINE_bool("lock", True, "require a lock on the workdir; --nolock if its file system has none")
ALLOW_CHANGES = flags.DEFINE_bool("allow_changes", False, "resume with another config or data than the run began with")
COORDINATOR = flags.DEFINE_string("coordinator", None, "host:port of process 0, if the pod is not detected")
PROCESSES = flags.DEFINE_integer("num_processes", None, "number of processes of the pod")
PROCESS = flags.DEFINE_integer("process_id", None, "index of this process, from 0")
POD = flags.DEFINE_bool("pod", False, "join the pod that Slurm, Kubernetes, MPI or the TPU runtime describes")


def main(argv: Sequence[str]) -> None:
    del argv
    if CONFIG.value is None:
        raise UserError(f"--config is missing: choose one of {', '.join(config_names())}")
    workdir = local_path(WORKDIR.value or f"runs/{_default_name()}", "--workdir")
    print("specjax train: starting", file=sys.stderr, flush=True)
    import jax

    if POD.value or COORDINATOR.value:
        jax.distributed.initialize(COORDINATOR.value, PROCESSES.value, PROCESS.value)
    app.use_compilation_cache()

    from specjax import papers
    from specjax.engine.checkpoint import check_path
    from specjax.engine.loop import train
    from specjax.engine.workdir import StopRequest, WorkdirLock

    check_path(workdir)
    values = papers.resolve(CONFIG.value.to_dict())
    config, task = papers.build(values)
    lock = WorkdirLock(workdir, needs_flock=LOCK.value) if jax.process_index() == 0 else None
    print(f"{task.name} on {jax.device_count()} x {jax.devices()[0].device_kind}, into {workdir}", file=sys.stderr)
    if lock:
        _write_overview(task, workdir / "parameters.txt")
    stop = StopRequest(lock)
    run = train(task, config, workdir, _metadata(values), stop, allow_changes=ALLOW_CHANGES.value)
    if lock:
        lock.release()
    if stop.exit_status:
        print(f"stopped at step {int(run.step)}, saved; the same command resumes", file=sys.stderr)
        sys.exit(stop.exit_status)
    print(json.dumps({"step": int(run.step), "workdir": str(workdir)}))


def _write_overview(task: "Task", path: Path) -> None:
    """Write a table of the names, shapes and sizes of all parameters to `path`, if clu is installed."""
    if importlib.util.find_spec("clu") is None:
        return
    import jax
    from clu import parameter_overview

    from specjax.engine.train_state import networks

    state = jax.eval_shape(task.init, jax.random.key(0))
    params = {path: network.params for path, network in networks(state).items()}
    outputs.write(path, parameter_overview.get_parameter_overview(params, include_stats=False).encode() + b"\n")


def _default_name() -> str:
    """Return the default name of the run, such as `unet-small` for `--config=unet:small`.

    It is the name of the config file and, after a dash, the variant (the suffix of the config name).
    """
    path, _, variant = config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")
    return Path(path).stem + (f"-{variant}" if variant else "")


def _metadata(values: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata to store in checkpoints: the config `values`, device counts and library versions.

    Two runs give bit-identical results only if their metadata are equal.
    """
    import jax
    import jaxlib

    import specjax

    return {
        "config": values,
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "specjax": specjax.__version__,
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "python": platform.python_version(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


if __name__ == "__main__":
    app.run(main)
