"""Opening the folder of a run, to judge it or to ship it."""

from pathlib import Path

from jax.sharding import Mesh

from specjax import config, wings
from specjax.engine import loop, mesh
from specjax.engine.checkpoint import Checkpoints
from specjax.engine.clock import TrainConfig
from specjax.engine.loop import Run
from specjax.engine.task import Task
from specjax.errors import Refusal


def open_run(workdir: Path, data: str | None = None) -> tuple[TrainConfig, Task, Run, Mesh]:
    """Clock, task and newest intact state of a run; `data` replaces its source of examples.

    Raises:
      Refusal: no such run, or no intact checkpoint.
    """
    values = config.read_json(workdir / "config.json")
    if data is not None:
        values["data"]["source"] = data
    clock, task = wings.build(values)
    device_mesh = mesh.make_mesh()
    folder = workdir.resolve() / "checkpoints"
    if not folder.is_dir():
        raise Refusal(f"{workdir} holds no checkpoints: train it first")
    checkpoints = Checkpoints(folder, clock.keep_checkpoints)
    restored = checkpoints.restore_newest(loop.abstract_run(task, device_mesh), mend=False)
    checkpoints.close()
    if restored is None:
        raise Refusal(f"{workdir} holds no finished checkpoint yet")
    return clock, task, restored[1], device_mesh
