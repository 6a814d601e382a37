"""The four papers, one folder each. Start reading here.

This table is all that the commands know of them: which settings and task a config's `task` stands for, and what opens
a bundle for inference. Everything is named, not imported, so that a command starts fast.

The folder of a paper may further hold `synth` (subcommands of `specjax synth`), `benchmarks` and `studies`.
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
    from specjax.engine.loop import Run
    from specjax.engine.task import Task


class Entry(NamedTuple):
    """Where a task's classes are, as `module:name` below `specjax.papers`.

    config: dataclass of its settings.
    task: what trains it; called with the settings.
    inference: what opens its bundle; called with the bundle and the name of its folder.
    """

    config: str
    task: str
    inference: str


TASKS = {
    # digits to chords: configs unet, unet_paper, unet_chords
    "chord/unet": Entry("chord.config:ChordConfig", "chord.task:ChordTask", "chord.inference:open_unet"),
}
PAPERS = ("chord", "texture")


def build(config: Mapping[str, Any]) -> "tuple[TrainConfig, Task]":
    """Training settings and task that a config describes.

    Raises:
      UserError: an unknown task or key, a wrong type, or a value out of range.
    """
    from specjax.cli.config import split, to_dataclass
    from specjax.engine.config import TrainConfig
    from specjax.engine.legacy import upgrade_config

    values = upgrade_config(config)
    entry = _entry(values.pop("task", None), "config.task")
    train_values, task_values = split(values, TrainConfig)
    task = _resolve(entry.task)(to_dataclass(_resolve(entry.config), task_values))
    return to_dataclass(TrainConfig, train_values), task


def open_run(workdir: Path, data: str | None = None) -> "tuple[TrainConfig, Task, Run]":
    """Training settings, task and newest intact state of a run; `data` replaces its `data.source`.

    Raises:
      UserError: there is no such run, or it has no intact checkpoint.
    """
    from specjax.cli.config import read_json
    from specjax.engine.loop import restore_run

    values = read_json(workdir / "config.json")
    if data is not None:
        values["data"]["source"] = data
    config, task = build(values)
    return config, task, restore_run(task, config, workdir)


def open_bundle(folder: Path, task: str | None = None) -> Any:
    """Open an exported bundle for inference; `task` is the one expected, if any.

    Raises:
      UserError: the bundle is damaged, unknown, or of another task.
    """
    from specjax.engine import bundle

    opened = bundle.load(folder)
    if task is not None and opened.task != task:
        raise UserError(f"{folder} is a bundle of {opened.task!r}, expected {task!r}")
    return _resolve(_entry(opened.task, f"{folder}: task").inference)(opened, str(folder))


def module(paper: str, name: str) -> ModuleType | None:
    """`specjax.papers.PAPER.NAME`, or None if the paper has no such module."""
    full = f"{__name__}.{paper}.{name}"
    return importlib.import_module(full) if importlib.util.find_spec(full) else None


def _entry(task: Any, where: str) -> Entry:
    if task not in TASKS:
        raise UserError(f"{where}={task!r} is unknown: choose one of {', '.join(TASKS)}")
    return TASKS[task]


def _resolve(path: str) -> Any:
    module_name, _, name = path.partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module_name}"), name)
