"""python -m specjax.train --config=unet [--workdir=runs/unet] [--config.steps=2000 ...]

Trains what a config describes. The same command again resumes.
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

from specjax.cli import app
from specjax.cli.errors import UserError

if TYPE_CHECKING:
    from specjax.engine.task import Task

CONFIG = config_flags.DEFINE_config_file("config", None, "name, name:variant or path of a config", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run; by default runs/NAME")
COORDINATOR = flags.DEFINE_string("coordinator", None, "host:port of process 0, where a pod is not detected")
PROCESSES = flags.DEFINE_integer("num_processes", None, "number of processes of the pod")
PROCESS = flags.DEFINE_integer("process_id", None, "number of this process")
POD = flags.DEFINE_bool("pod", False, "join the pod that Slurm, Kubernetes, MPI or the TPU runtime announces")


def main(argv: Sequence[str]) -> None:
    del argv
    if CONFIG.value is None:
        from specjax.cli.config import config_names

        raise UserError(f"--config is missing: choose one of {', '.join(config_names())}")
    print("specjax train: starting", file=sys.stderr, flush=True)
    import jax

    if POD.value or COORDINATOR.value:
        jax.distributed.initialize(COORDINATOR.value, PROCESSES.value, PROCESS.value)
    app.use_compilation_cache()

    from specjax import papers
    from specjax.engine.loop import train
    from specjax.engine.workdir import StopRequest, WorkdirLock

    values = CONFIG.value.to_dict()
    clock, task = papers.build(values)
    workdir = Path(WORKDIR.value or f"runs/{_name()}")
    lock = WorkdirLock(workdir) if jax.process_index() == 0 else None
    print(f"{task.name} on {jax.device_count()} x {jax.devices()[0].device_kind}, into {workdir}", file=sys.stderr)
    if lock:
        _write_overview(task, workdir / "parameters.txt")
    stop = StopRequest()
    run = train(task, clock, workdir, _facts(values), stop)
    if lock:
        lock.release()
    if stop.exit_status:
        print(f"stopped at step {int(run.step)}, saved; the same command resumes", file=sys.stderr)
        sys.exit(stop.exit_status)
    print(json.dumps({"step": int(run.step), "workdir": str(workdir)}))


def _write_overview(task: "Task", path: Path) -> None:
    """A table of what will be learnt, where clu is installed."""
    if importlib.util.find_spec("clu") is None:
        return
    import jax
    from clu import parameter_overview

    learnt = jax.eval_shape(
        lambda key: {n: p.tensors for n, p in task.parts(task.init(key)).items()}, jax.random.key(0)
    )
    path.write_text(parameter_overview.get_parameter_overview(learnt, include_stats=False) + "\n")


def _name() -> str:
    """Name of the config file, with its variant."""
    argument = next(a for a in reversed(sys.argv) if a.startswith(("--config=", "-config=")))
    path, _, variant = argument.partition("=")[2].partition(":")
    return Path(path).stem + (f"-{variant}" if variant else "")


def _facts(values: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint records of how it was made: bits are promised equal only where these are."""
    import jax
    import jaxlib

    return {
        "config": values,
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "python": platform.python_version(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


if __name__ == "__main__":
    app.run(main)
