"""Registry of the papers that this package implements, one subpackage each. Start reading here.

`train`, `evaluate` and `export` find the code of a task through the table `TASKS`. Its keys are the values of the
config key `task`, such as `chord/unet`. Each entry names a settings dataclass, a training task, and a function that
opens an exported bundle for inference. The names are import paths, so that a command imports only what it needs and
starts fast.

The subpackage of a paper may also contain three optional modules, which the commands import for each name in `PAPERS`:
`synth` (subcommands of `specjax synth`), `benchmarks` (for `specjax bench`) and `studies` (for `specjax study`).
"""

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from specjax.cli.errors import UserError
from specjax.cli.paths import local_path
from specjax.papers import chord, melody, mvnet, texture

if TYPE_CHECKING:
    from specjax.engine.config import TrainConfig
    from specjax.engine.program import Run
    from specjax.engine.task import Task


class SavedRun(NamedTuple):
    """A training run that was loaded from its working directory.

    config: training settings.
    task: the task.
    run: training state from the newest intact checkpoint.
    metadata: how that state was made: the config, changes of it since the run began, devices and library versions.
    """

    config: "TrainConfig"
    task: "Task"
    run: "Run"
    metadata: dict[str, Any]


class Entry(NamedTuple):
    """Import paths of the three objects that implement one training task, each written `module:name`.

    A bundle is a folder that contains a trained model, exported for inference.

    config: dataclass of the task's settings.
    task: class that implements the task. Its constructor takes the settings.
    inference: function that prepares a bundle for inference. It takes the loaded bundle (`engine.bundle.Bundle`) and
      the path of the bundle's folder, which it uses in error messages.
    """

    config: str
    task: str
    inference: str


TASKS = {
    # Turns handwritten digits into chords. Used by the configs unet, unet_paper and unet_chords.
    "chord/unet": Entry(
        config="specjax.papers.chord.config:ChordConfig",
        task="specjax.papers.chord.task:ChordTask",
        inference="specjax.papers.chord.inference:open_unet",
    ),
    # Writes mel spectrograms of music in several genres. Used by the configs gan, gan_paper_tanh and gan_paper_relu.
    "melody/gan": Entry(
        config="specjax.papers.melody.config:GanConfig",
        task="specjax.papers.melody.task:GanTask",
        inference="specjax.papers.melody.inference:open_generator",
    ),
    # Draws pictures of mel spectrograms, which have no sound. Used by the config gan_images.
    "melody/images": Entry(
        config="specjax.papers.melody.images:ImagesConfig",
        task="specjax.papers.melody.images_task:ImagesTask",
        inference="specjax.papers.melody.images:open_images",
    ),
    # Names the genre of a clip of music; judges generated music. Used by the config judge_genre.
    "melody/judge": Entry(
        config="specjax.papers.melody.judge:JudgeConfig",
        task="specjax.papers.melody.judge_task:JudgeTask",
        inference="specjax.papers.melody.judge:open_judge",
    ),
    # Writes mel spectrograms of music block by block. Used by the config melody_transformer.
    "melody/transformer": Entry(
        config="specjax.papers.melody.transformer.config:TransformerConfig",
        task="specjax.papers.melody.transformer.task:TransformerTask",
        inference="specjax.papers.melody.transformer.inference:open_transformer",
    ),
    # Writes waves of music in several genres. Used by the config melody_wave.
    "melody/wave": Entry(
        config="specjax.papers.melody.wave.config:WaveConfig",
        task="specjax.papers.melody.wave.task:WaveTask",
        inference="specjax.papers.melody.wave.inference:open_wave_generator",
    ),
    # Paints pictures from music. Used by the configs cdcgan and cdcgan_paper.
    "mvnet/cdcgan": Entry(
        config="specjax.papers.mvnet.config:GanConfig",
        task="specjax.papers.mvnet.task:GanTask",
        inference="specjax.papers.mvnet.inference:open_painter",
    ),
    # Embeds clips of music so that those of an era are near. Used by the configs encoder and encoder_paper.
    "mvnet/encoder": Entry(
        config="specjax.papers.mvnet.encoder:EncoderConfig",
        task="specjax.papers.mvnet.encoder_task:EncoderTask",
        inference="specjax.papers.mvnet.encoder:open_encoder",
    ),
    # Names the era of a picture; judges generated pictures. Used by the config judge_era.
    "mvnet/judge": Entry(
        config="specjax.papers.mvnet.judge:JudgeConfig",
        task="specjax.papers.mvnet.judge_task:JudgeTask",
        inference="specjax.papers.mvnet.judge:open_judge",
    ),
    # Brings pictures nearer to the paintings of an era. Used by the config style.
    "mvnet/style": Entry(
        config="specjax.papers.mvnet.style:StyleConfig",
        task="specjax.papers.mvnet.style_task:StyleTask",
        inference="specjax.papers.mvnet.refinement:open_style",
    ),
    # Names the class of an environmental sound. Used by the configs classifier and classifier_2d.
    "texture/classifier": Entry(
        config="specjax.papers.texture.config:ClassifierConfig",
        task="specjax.papers.texture.task:ClassifierTask",
        inference="specjax.papers.texture.classify:open_classifier",
    ),
}
PAPERS = ("chord", "melody", "mvnet", "texture")

__all__ = ["PAPERS", "TASKS", "chord", "melody", "mvnet", "open_bundle", "open_run", "texture"]


def build(config: Mapping[str, Any]) -> "tuple[TrainConfig, Task]":
    """Build the training settings and the task from the values of a config.

    Args:
      config: config values by key. The key `task` selects an entry of `TASKS`.

    Raises:
      UserError: the task or a key is unknown, or a value has the wrong type or is out of range.
    """
    name, train_config, settings = _parse(config)
    return train_config, _import_name(TASKS[name].task)(settings)


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in default values, and those that depend on the data source, such as the names of its classes.

    Without this, a run that is evaluated on other data could not tell what its outputs mean. The settings dataclass of
    a task may define `resolve()`, which returns the settings to use.

    Args:
      config: config values by key.

    Raises:
      UserError: the task or a key is unknown, a value is invalid, or the data source is missing.
    """
    name, train_config, settings = _parse(config)
    resolved = settings.resolve() if hasattr(settings, "resolve") else settings
    return {"task": name, **asdict(train_config), **asdict(resolved)}


def open_run(workdir: str | Path, data: str | None = None) -> SavedRun:
    """Load a training run from its working directory.

    Args:
      workdir: working directory of the run.
      data: data source to use instead of `data.source` in the run's config; None keeps the source of the config.

    Raises:
      UserError: the run does not exist or has no intact checkpoint, or `data` is not None and the run's config has no
        key `data.source`.
    """
    from specjax.engine.resume import read_metadata, restore_run

    workdir = local_path(workdir)
    _, task = build(read_metadata(workdir)["config"])
    run, metadata = restore_run(task, workdir)
    config, task = build(metadata["config"])  # An older checkpoint may have another config.
    return SavedRun(config, task if data is None else _use_data(task, data, workdir), run, metadata)


def open_bundle(folder: str | Path, task: str | tuple[str, ...] | None = None) -> Any:
    """Load a bundle (the folder of a trained model that was exported) and prepare it for inference.

    Args:
      folder: path of the bundle, or name of one that comes with the package, such as `unet`.
      task: name of the task that the model must have been trained for, such as `chord/unet`, or several of which it
        must be one; None accepts any task.

    Returns:
      An object that depends on the task. For `chord/unet`, it is a pair: a `ChordInference`, which describes the
      network, and the network's parameters. For `texture/classifier`, it is a `ClassifierInference` and the network's
      variables.

    Raises:
      UserError: the bundle is damaged, its task is unknown, or its task is not among those expected.
    """
    from specjax.engine import bundle

    folder = local_path(folder)
    opened = bundle.load(folder)
    expected = (task,) if isinstance(task, str) else task
    if expected is not None and opened.task not in expected:
        names = " or ".join(map(repr, expected))
        raise UserError(
            f"{folder} is a bundle of {opened.task!r}, expected {names}: name a bundle exported from {names}"
        )
    return _import_name(_look_up(opened.task, f"{folder}: task").inference)(opened, str(folder))


def module(paper: str, name: str) -> ModuleType | None:
    """Import the module `specjax.papers.PAPER.NAME` and return it; return None if it does not exist.

    Args:
      paper: name of a subpackage of `specjax.papers`, such as `chord`.
      name: name of a module in this subpackage, such as `benchmarks`.
    """
    full = f"{__name__}.{paper}.{name}"
    return importlib.import_module(full) if importlib.util.find_spec(full) else None


def _parse(config: Mapping[str, Any]) -> "tuple[str, TrainConfig, Any]":
    """Convert the values of a config to the name of the task, the training settings, and the settings of the task.

    Raises:
      UserError: the task or a key is unknown, or a value has the wrong type or is out of range.
    """
    from specjax.cli.config import split, to_dataclass
    from specjax.engine.config import TrainConfig
    from specjax.engine.legacy import upgrade_config

    values = upgrade_config(config)
    name = values.pop("task", None)
    entry = _look_up(name, "config.task")
    train_values, task_values = split(values, TrainConfig)
    settings = to_dataclass(_import_name(entry.config), task_values)
    return name, to_dataclass(TrainConfig, train_values), settings


def _use_data(task: Any, source: str, workdir: Path) -> "Task":
    """Return a task that reads another data source, for evaluation.

    The settings of the data may define `for_evaluation(source)`, which returns the settings to use. Otherwise their
    field `source` is replaced.

    Raises:
      UserError: the task has no settings of data with a `source`.
    """
    data: Any = getattr(getattr(task, "config", None), "data", None)
    if not hasattr(data, "source"):
        raise UserError(f"the config of {workdir} has no `data.source` that {source!r} could replace: omit the option")
    other = data.for_evaluation(source) if hasattr(data, "for_evaluation") else replace(data, source=source)
    return cast("Task", replace(task, config=replace(task.config, data=other)))


def _look_up(task: Any, where: str) -> Entry:
    if not isinstance(task, str) or task not in TASKS:
        raise UserError(f"{where}={task!r} is unknown: choose one of {', '.join(TASKS)}")
    return TASKS[task]


def _import_name(path: str) -> Any:
    module_name, _, name = path.partition(":")
    return getattr(importlib.import_module(module_name), name)
