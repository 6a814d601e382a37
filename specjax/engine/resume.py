"""Restoring a run from its checkpoints, with checks that it goes on as it began."""

import json
import logging
import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from specjax.cli.config import flatten
from specjax.cli.errors import UserError
from specjax.engine import program
from specjax.engine.checkpoint import Checkpoints
from specjax.engine.config import TrainConfig
from specjax.engine.digests import digests
from specjax.engine.fingerprint import TOLERANCE, differing, fingerprint
from specjax.engine.legacy import upgrade_config
from specjax.engine.program import Run
from specjax.engine.task import Data, Task, Tree

Metadata = dict[str, Any]

# Keys of the metadata that each checkpoint holds.
CONFIG = "config"  # config of the run
FROZEN = "frozen"  # digests of the frozen inputs
EXAMPLES = "examples"  # fingerprints of the training and held-out examples
CHANGES = "changes"  # changes of the config or the examples since the run began, each with its step

# Training settings that say how long a run trains and what it reports, and not what it learns.
_FREE_SETTINGS = {field.name for field in fields(TrainConfig)} - {"seed", "batch_size"}
_SOURCE = "data.source"  # where the data are; if the examples are the same, they were moved
_MEASURED = {"statistics", "deviations"}  # settings and groups of settings that are measured from the training data

log = logging.getLogger("specjax")


def describe_inputs(data: Data, frozen: Tree) -> Metadata:
    """Return the entries of the metadata that identify the examples and the frozen inputs of a run."""
    examples = {"train": data.train, "held_out": data.held_out}
    return {FROZEN: digests(jax.tree.map(jnp.asarray, frozen)), EXAMPLES: fingerprint(examples)}


def read_metadata(workdir: Path) -> Metadata:
    """Read the metadata of the newest checkpoint in `workdir`, without its arrays.

    Raises:
      UserError: there is no checkpoint, or the records of all are damaged.
    """
    with closing(_open_checkpoints(workdir)) as checkpoints:
        newest = checkpoints.newest_metadata()
    if newest is None:
        raise UserError(f"{workdir} has no finished checkpoint yet")
    return newest[1]


def restore_run(task: Task, workdir: Path) -> tuple[Run, Metadata]:
    """Restore the newest intact checkpoint in `workdir` and its metadata, without changing anything on disk.

    Raises:
      UserError: there is no intact checkpoint, its arrays do not match those of the task, or a frozen array has changed
        since the run began.
    """
    with closing(_open_checkpoints(workdir)) as checkpoints:
        restored = checkpoints.restore_newest(program.abstract_run(task, program.mesh_of(task)))
    if restored is None:
        raise UserError(f"{workdir} has no finished checkpoint yet")
    _, run, saved = restored
    _check_frozen(digests(jax.tree.map(jnp.asarray, task.frozen())), saved)
    return run, saved


def restore_or_init(
    task: Task,
    config: TrainConfig,
    checkpoints: Checkpoints,
    metadata: Metadata,
    mesh: jax.sharding.Mesh,
    *,
    allow_changes: bool = False,
) -> tuple[Run, Metadata]:
    """Restore the newest intact checkpoint, or create a run at step 0 if there is no checkpoint.

    Args:
      metadata: metadata of the run from now on.
      allow_changes: whether settings of the task, the seed, the batch size and the examples may differ from those of
        the checkpoint.

    Returns:
      The run, and the metadata to save with it: `metadata`, and all changes since the run began.

    Raises:
      UserError: no checkpoint is intact; its arrays do not match those of the task; a frozen array, such as a parameter
        of a pretrained network, has changed since the run began; or the config or the examples have, without
        `allow_changes` or in a run that has finished.
    """
    newest, changes = checkpoints.newest_metadata(), []
    if newest is not None:  # before arrays are read: settings say more than the arrays of another architecture
        changes = _find_changes(config, *newest, metadata, allow_changes)
    restored = checkpoints.restore_newest(program.abstract_run(task, mesh))
    if restored is None:
        return program.init(task, config, mesh), metadata | {CHANGES: []}
    step, run, saved = restored
    if newest is None or step != newest[0]:
        changes = _find_changes(config, step, saved, metadata, allow_changes)
    _check_frozen(metadata[FROZEN], saved)
    log.info("resumed at step %d", step)
    return run, metadata | {CHANGES: saved.get(CHANGES, []) + changes}


def _open_checkpoints(workdir: Path) -> Checkpoints:
    """Open the checkpoints of a run for reading.

    Raises:
      UserError: there is no folder of checkpoints.
    """
    folder = workdir.resolve() / "checkpoints"
    if not folder.is_dir():
        raise UserError(f"{workdir} has no checkpoints: train it first")
    return Checkpoints(folder, read_only=True)


def _check_frozen(now: Mapping[str, str], saved: Mapping[str, Any]) -> None:
    """Check that the frozen arrays (used but not trained) are those that a run began with.

    Args:
      now: digests of the frozen arrays by path.
      saved: metadata of a checkpoint.

    Raises:
      UserError: an array differs, is missing or is new.
    """
    before = saved.get(FROZEN, {})
    changed = sorted(path for path in now.keys() | before.keys() if now.get(path) != before.get(path))
    if changed:
        raise UserError(
            f"the frozen input {changed[0]} is not the one this run began with ({len(changed)} of "
            f"{len(now.keys() | before.keys())} arrays differ): use the same bundle, or another --workdir"
        )


def _find_changes(
    config: TrainConfig, step: int, saved: Metadata, now: Metadata, allow_changes: bool
) -> list[dict[str, Any]]:
    """Compare a run that is resumed with its checkpoint, and log every difference.

    Args:
      config: training settings.
      step: step of the checkpoint.
      saved: metadata of the checkpoint.
      now: metadata of the run from now on.
      allow_changes: whether settings of the task, the seed, the batch size and the examples may differ.

    Returns:
      What has changed in the meaning of the run, with its step; an empty list if nothing has.

    Raises:
      UserError: the run has made more updates than `config.steps`; or its meaning has changed, without `allow_changes`
        or after its last step, so that it would seem to have been trained with settings that it never used.
    """
    if step > config.steps:
        raise UserError(
            f"the run in this workdir has made {step} updates, more than steps={config.steps}: name another --workdir"
        )
    settings = _differences(upgrade_config(saved.get(CONFIG, {})), now.get(CONFIG, {}))
    examples = differing(saved[EXAMPLES], now[EXAMPLES]) if EXAMPLES in saved else []
    lines = {key: f"{key} was {_shorten(before)} and is {_shorten(after)}" for key, (before, after) in settings.items()}
    lines |= {f"{EXAMPLES}.{path}": f"the examples {path} have changed" for path in examples}
    for line in lines.values():
        log.warning("%s", line)
    # A setting named like a frozen input is the path of its bundle. The digests of its arrays say whether it changed.
    free = _FREE_SETTINGS | {key for key in settings if any(path.startswith(f"['{key}']") for path in now[FROZEN])}
    if EXAMPLES in saved and not examples:
        free |= {_SOURCE}
    meaningful = [line for key, line in lines.items() if not free & {key, key.split(".")[0]}]
    if not meaningful:
        return []
    found = meaningful[0] + (f", and {len(meaningful) - 1} more" if len(meaningful) > 1 else "")
    if step >= config.steps:
        raise UserError(
            f"the run in this workdir has finished with another config or data ({found}): name another --workdir"
        )
    if not allow_changes:
        raise UserError(
            f"the run in this workdir began with another config or data ({found}): name another --workdir, or add "
            "--allow_changes to go on with the new ones"
        )
    return [{"step": step, CONFIG: settings, EXAMPLES: examples}]


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two configs differ, as pairs of values by dotted key.

    The second value is None if a setting was removed. Settings that only the second config has are of a newer version
    of specjax, and are not compared.
    """
    old, new = (flatten(json.loads(json.dumps(config))) for config in (before, now))
    new |= {key: None for key in old.keys() - new.keys()}
    return {key: (old[key], new[key]) for key in sorted(old) if not _is_equal(key, old[key], new[key])}


def _is_equal(key: str, a: Any, b: Any) -> bool:
    """Compare two values of a setting. Those that are measured from the training data may differ by rounding."""
    return _is_close(a, b) if _MEASURED & set(key.split(".")) else bool(a == b)


def _is_close(a: Any, b: Any, scale: float = 0.0) -> bool:
    """Compare two measured values, with the tolerance of fingerprints.

    Args:
      a: the one value.
      b: the other.
      scale: largest absolute value in the list to which they belong.
    """
    if isinstance(a, list) and isinstance(b, list):
        largest = max((abs(x) for x in a if isinstance(x, float)), default=0.0)
        return len(a) == len(b) and all(_is_close(x, y, largest) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE * scale)
    return bool(a == b)


def _shorten(value: Any) -> str:
    text = "not set" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:40]} ... {text[-15:]}"
