"""Restoring a run from its checkpoints, with checks that it goes on as it began."""

import json
import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from specjax.cli.errors import UserError
from specjax.engine import program
from specjax.engine.checkpoint import Checkpoints, digests
from specjax.engine.config import TrainConfig
from specjax.engine.legacy import upgrade_config
from specjax.engine.program import Run
from specjax.engine.task import Task

FROZEN = "frozen"  # key, in a checkpoint's metadata, of the digests of the frozen inputs

log = logging.getLogger("specjax")


def restore_run(task: Task, config: TrainConfig, workdir: Path) -> Run:
    """Restore the newest intact checkpoint in `workdir`, without changing anything on disk.

    Raises:
      UserError: there is no intact checkpoint, its arrays do not match those of the task, or a frozen array has changed
        since the run began.
    """
    folder = workdir.resolve() / "checkpoints"
    if not folder.is_dir():
        raise UserError(f"{workdir} has no checkpoints: train it first")
    with closing(Checkpoints(folder, read_only=True)) as checkpoints:
        restored = checkpoints.restore_newest(program.abstract_run(task, program.mesh_of(task)))
    if restored is None:
        raise UserError(f"{workdir} has no finished checkpoint yet")
    _, run, saved = restored
    _check_frozen(digests(jax.tree.map(jnp.asarray, task.frozen())), saved)
    return run


def restore_or_init(
    task: Task, config: TrainConfig, checkpoints: Checkpoints, metadata: dict[str, Any], mesh: jax.sharding.Mesh
) -> Run:
    """Restore the newest intact checkpoint, or create a run at step 0 if there is no checkpoint.

    Raises:
      UserError: no checkpoint is intact; its arrays do not match those of the task; or a frozen array, such as a
        parameter of a pretrained network, has changed since the run began.
    """
    restored = checkpoints.restore_newest(program.abstract_run(task, mesh))
    if restored is None:
        return program.init(task, config, mesh)
    step, run, saved = restored
    _check_frozen(metadata[FROZEN], saved)
    _check_config(config, step, metadata.get("config", {}), upgrade_config(saved.get("config", {})))
    log.info("resumed at step %d", step)
    return run


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


def _check_config(config: TrainConfig, step: int, now: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Compare the config of a resumed run with that of its checkpoint; log a warning if settings of the task differ.

    Args:
      config: training settings.
      step: step of the checkpoint.
      now: config of this command.
      before: config that the checkpoint was saved with.

    Raises:
      UserError: the run has made more updates than `config.steps`; or settings differ and the run has finished, so that
        it would seem to have been trained with them.
    """
    if step > config.steps:
        raise UserError(
            f"the run in this workdir has made {step} updates, more than steps={config.steps}: name another --workdir"
        )
    schedule = {field.name for field in fields(TrainConfig)} - {"seed", "batch_size"}
    pairs = _flatten(json.loads(json.dumps(before))), _flatten(json.loads(json.dumps(now)))
    changed = [
        f"{key} was {pairs[0][key]!r} and is {pairs[1][key]!r}"
        for key in sorted(pairs[0].keys() & pairs[1].keys())
        if key.split(".")[0] not in schedule and pairs[0][key] != pairs[1][key]
    ]
    if changed and step >= config.steps:
        raise UserError(
            f"the run in this workdir has finished with another config ({changed[0]}; {len(changed)} settings differ): "
            "name another --workdir"
        )
    if changed:
        log.warning("resuming with another config: %s", "; ".join(changed))


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a nested config to a dict of values by dotted key."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat
