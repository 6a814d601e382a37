"""Registry of the papers, one subpackage each. Start reading here.

The commands find a paper only through the table `TASKS`. It maps the `task` of a config to the dataclass of its
settings, to the training task, and to the function that opens an exported bundle for inference. Entries are names
rather than imports, so that commands start fast.

The subpackage of a paper may also contain the modules `synth` (subcommands of `specjax synth`), `benchmarks` and
`studies`.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from specjax.cli.errors import UserError

if TYPE_CHECKING:
    from specjax.engine.config import TrainConfig
    from specjax.engine.program import Run
    from specjax.engine.task import Task


class Entry(NamedTuple):
    """Import paths of a task, each written `module:name`.

    config: dataclass of the task's settings.
    task: class of the training task, called with the settings.
    inference: function that opens a bundle, called with the bundle and the path of its folder.
    """

    config: str
    task: str
    inference: str


TASKS = {
    # Handwritten digits to chords: configs unet, unet_paper and unet_chords.
    "chord/unet": Entry(
        config="specjax.papers.chord.config:ChordConfig",
        task="specjax.papers.chord.task:ChordTask",
        inference="specjax.papers.chord.inference:open_unet",
    ),
}
PAPERS = ("chord", "texture")


def build(config: Mapping[str, Any]) -> "tuple[TrainConfig, Task]":
    """Build the training settings and the task that a config describes.

    Raises:
      UserError: the task or a key is unknown, or a value has the wrong type or is out of range.
    """
    from specjax.cli.config import split, to_dataclass
    from specjax.engine.config import TrainConfig
    from specjax.engine.legacy import upgrade_config

    values = upgrade_config(config)
    entry = _look_up(values.pop("task", None), "config.task")
    train_values, task_values = split(values, TrainConfig)
    task = _import_name(entry.task)(to_dataclass(_import_name(entry.config), task_values))
    return to_dataclass(TrainConfig, train_values), task


def open_run(workdir: Path, data: str | None = None) -> "tuple[TrainConfig, Task, Run]":
    """Open a run: its training settings, its task, and its state from the newest intact checkpoint.

    Args:
      workdir: folder of the run.
      data: replaces `data.source` of the run's config; None keeps it.

    Raises:
      UserError: the run does not exist, or has no intact checkpoint.
    """
    from specjax.cli.config import read_json
    from specjax.engine.loop import restore_run

    values = read_json(workdir / "config.json")
    if data is not None:
        values["data"]["source"] = data
    config, task = build(values)
    return config, task, restore_run(task, config, workdir)


def open_bundle(folder: Path, task: str | None = None) -> Any:
    """Open an exported bundle for inference.

    Args:
      folder: folder of the bundle.
      task: name of the task that the bundle must belong to; None accepts any.

    Raises:
      UserError: the bundle is damaged, its task is unknown, or its task is not `task`.
    """
    from specjax.engine import bundle

    opened = bundle.load(folder)
    if task is not None and opened.task != task:
        raise UserError(
            f"{folder} is a bundle of {opened.task!r}, expected {task!r}: name a bundle exported from {task!r}"
        )
    return _import_name(_look_up(opened.task, f"{folder}: task").inference)(opened, str(folder))


def module(paper: str, name: str) -> ModuleType | None:
    """Import `specjax.papers.PAPER.NAME`; None if the paper has no such module."""
    full = f"{__name__}.{paper}.{name}"
    return importlib.import_module(full) if importlib.util.find_spec(full) else None


def _look_up(task: Any, where: str) -> Entry:
    if task not in TASKS:
        raise UserError(f"{where}={task!r} is unknown: choose one of {', '.join(TASKS)}")
    return TASKS[task]


def _import_name(path: str) -> Any:
    module_name, _, name = path.partition(":")
    return getattr(importlib.import_module(module_name), name)
