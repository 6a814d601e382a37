"""Checkpoints whose arrays are verified by digests when they are restored.

Orbax writes checkpoints asynchronously and atomically, but it does not detect corrupted files: a flipped bit is
restored as a wrong number without an error. Each checkpoint therefore also stores a digest (hash) of every leaf,
computed on device, and a restored checkpoint is used only if its digests match. A damaged checkpoint is moved to
another folder and the reason is logged. Then the previous checkpoint is tried.

Leaves are identified by their paths alone. They can be restored into any tree that has the same paths, even if its
containers are of other types.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from specjax.cli.errors import UserError
from specjax.engine import legacy
from specjax.engine.digests import digests, leaf_shapes, leaves_by_path
from specjax.engine.read_errors import find_obstacle, find_shortage, list_causes, summarize

Tree = Any
log = logging.getLogger("specjax")

_UNSAFE = frozenset("*?[\\")  # Orbax takes them for patterns, or for separators, and loses files in such folders.


class BadCheckpoint(Exception):
    """Raised when a checkpoint on disk is damaged and must not be used. The message says what is wrong."""


def check_path(folder: epath.PathLike) -> None:
    """Check that checkpoints in a folder, or in folders below it, could be restored.

    Raises:
      UserError: the path has a character that Orbax misunderstands.
    """
    if unsafe := _UNSAFE & set(str(epath.Path(folder).resolve())):
        raise UserError(
            f"checkpoints in {folder} could not be restored, because of the {sorted(unsafe)[0]} in its path: name "
            "another --workdir, without any of * ? [ \\"
        )


class Checkpoints:
    """Checkpoints of one run.

    With several processes, every process must call every method. Only process 0 writes the metadata (JSON).
    """

    def __init__(self, folder: epath.PathLike, keep: int = 3, *, read_only: bool = False) -> None:
        """Open a folder of checkpoints, creating it if necessary.

        Args:
          folder: the folder. The checkpoint of step N is its subfolder `N`.
          keep: number of newest checkpoints to keep; older ones are deleted.
          read_only: change nothing on disk, so that a run that is training is not disturbed. Checkpoints cannot be
            saved then.

        Raises:
          UserError: the path has a character that Orbax misunderstands, or the folder cannot be read or created.
        """
        self._folder = epath.Path(folder)
        check_path(self._folder)
        self._keep = keep
        self._read_only = read_only
        self._saving = False
        self._can_restore = False
        self._unverified: tuple[int, Tree] | None = None
        self._manager = self._open()

    def _open(self) -> ocp.CheckpointManager:
        if self._read_only:
            options = ocp.CheckpointManagerOptions(read_only=True)
        else:
            options = ocp.CheckpointManagerOptions(
                preservation_policy=ocp.checkpoint_managers.LatestN(n=self._keep),
                cleanup_tmp_directories=True,
                enable_async_checkpointing=True,
            )
        try:
            return ocp.CheckpointManager(self._folder.resolve(), options=options)
        except OSError as error:
            raise UserError(
                f"{self._folder} cannot be opened ({error.strerror}): change its permissions, or name another --workdir"
            ) from error

    def steps(self) -> list[int]:
        """Return the steps of all completely written checkpoints, in ascending order. Their digests are not checked."""
        if self._read_only:
            self._manager.reload()  # The run that writes them may have removed some.
        return sorted(self._manager.all_steps())

    def save(self, step: int, state: Tree, metadata: dict[str, Any]) -> None:
        """Start writing a checkpoint in the background, and return as soon as `state` is copied off the device.

        If nothing was restored from this folder before, the first checkpoint is read back before the second is saved,
        or by `wait`: a disk or a library that keeps nothing is then found out early.

        Args:
          step: number of updates so far, including updates that were skipped because a value was not finite.
          state: tree of arrays.
          metadata: information on how the state was made, such as the config; must be JSON-serializable.

        Raises:
          UserError: this save failed, or an earlier one failed in the background; or the first checkpoint cannot be
            restored.
        """
        self._verify()
        record = {"step": step, "metadata": metadata, "shapes": leaf_shapes(state), "digests": digests(state)}
        record["seal"] = _digest_record(record)
        with self._convert_write_errors():
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(leaves_by_path(state)), record=ocp.args.JsonSave(record)
                ),
                force=True,
            )
        self._saving = True
        if not self._can_restore:
            self._unverified = step, jax.tree.map(lambda x: np.broadcast_to(np.zeros((), x.dtype), x.shape), state)

    def check(self) -> None:
        """Raise an error if a background save has ended and failed. While a save is still running, return at once.

        Raises:
          UserError: the save failed.
        """
        # Orbax's `check_for_errors` reports an error only once, and a thread of Orbax has already consumed that report.
        if self._saving and not self._manager.is_saving_in_progress():
            self._finish_saving()

    def wait(self) -> None:
        """Block until the background save, if there is one, is on disk.

        Raises:
          UserError: the save failed; or it was the first one, and the checkpoint cannot be restored.
        """
        self._finish_saving()
        self._verify()

    def _finish_saving(self) -> None:
        self._saving = False
        unverified, self._unverified = self._unverified, None  # If the save failed, there is nothing to verify.
        with self._convert_write_errors():
            self._manager.wait_until_finished()
        self._unverified = unverified

    def _verify(self) -> None:
        """Read back the first checkpoint of a run, if that was not done yet, after waiting until it is on disk.

        If memory or another resource is missing to read it, a warning is logged, and the next one will be read back.

        Raises:
          UserError: it cannot be restored.
        """
        if self._unverified is None:
            return
        self._finish_saving()
        step, abstract = self._unverified
        self._unverified = None
        try:
            self.restore(step, abstract)
        except UserError as error:
            if find_shortage(error) is None:
                raise
            log.warning("checkpoint %d was saved but not read back: %s", step, error)
            return
        except BadCheckpoint as error:
            raise UserError(
                f"checkpoint {step} in {self._folder} was saved but cannot be restored ({error}): name a --workdir on "
                "another disk"
            ) from error
        self._can_restore = True

    def close(self) -> None:
        """Wait until the background save, if there is one, has ended, and stop Orbax's threads.

        Errors are logged and not raised.
        """
        try:
            self._manager.close()
        except Exception as error:  # a failed save was already reported; an error here must not hide that one
            log.debug("closing %s: %s", self._folder, error)

    @contextmanager
    def _convert_write_errors(self) -> Iterator[None]:
        """Context manager that converts any exception to a `UserError`, whose message says how to continue."""
        try:
            yield
        except Exception as error:
            raise UserError(
                f"a checkpoint in {self._folder} could not be written ({summarize(error)}): make room, then run the "
                "same command again; it resumes from the last intact checkpoint"
            ) from error

    def restore_newest(self, abstract: Tree) -> tuple[int, Tree, dict[str, Any]] | None:
        """Restore the newest intact checkpoint.

        A checkpoint is intact if the digests (hashes) of its arrays equal those that were saved with them. If a
        checkpoint is damaged, a warning is logged and the one before it is tried. Once an intact one is found, the
        damaged ones are moved to a sibling folder whose name ends in `_rejected`, unless the folder is read-only.

        Args:
          abstract: tree of `jax.ShapeDtypeStruct`s with the expected shapes, dtypes and shardings.

        Returns:
          Step, state and metadata; None if there is no checkpoint.

        Raises:
          UserError: there are checkpoints but none is intact; a checkpoint cannot be read now but may be intact; or the
            paths, shapes or dtypes in a checkpoint differ from those of `abstract`.
        """
        steps, damaged = self.steps(), []
        for step in reversed(steps):
            try:
                state, metadata = self.restore(step, abstract)
            except BadCheckpoint as error:
                if self._read_only and self.steps() != steps:  # The run has removed it while it was read.
                    return self.restore_newest(abstract)
                log.warning("checkpoint %d is damaged and is not used: %s", step, error)
                damaged.append(step)
                continue
            if damaged and not self._read_only:
                self._reject(damaged)
            self._can_restore = True
            return step, state, metadata
        if steps:
            raise self._none_is_intact(steps)
        return None

    def restore(self, step: int, abstract: Tree) -> tuple[Tree, dict[str, Any]]:
        """Restore one checkpoint, and return its state and metadata.

        Args:
          step: step of the checkpoint.
          abstract: tree of `jax.ShapeDtypeStruct`s with the expected shapes, dtypes and shardings.

        Raises:
          BadCheckpoint: the checkpoint is unreadable, or its content differs from what was saved.
          UserError: paths, shapes or dtypes in the checkpoint differ from those of `abstract` (the message names the
            leaves); or permission, memory or another resource is missing to read it.
        """
        record = self._read_record(step)
        expected = leaves_by_path(abstract)
        is_legacy = "metadata" not in record
        names = legacy.saved_names(record["shapes"], expected) if is_legacy else {x: x for x in record["shapes"]}
        defaults = legacy.default_leaves(expected, names) if is_legacy else {}
        shapes = {path: record["shapes"][name] for path, name in names.items()}
        shapes |= {path: f"{x.dtype}{list(x.shape)}" for path, x in defaults.items()}
        self._check_architecture(step, shapes, leaf_shapes(abstract))
        with self._convert_read_errors(step, "arrays"):
            target = {name: expected[path] for path, name in names.items()}
            if is_legacy:
                target |= legacy.dropped_leaves(record["shapes"], target)
            args = ocp.args.Composite(state=ocp.args.StandardRestore(target))
            saved = self._manager.restore(step, args=args)["state"]
            leaves = {path: saved[name] for path, name in names.items()}
            restored = digests(leaves)
        damaged = [path for path, name in names.items() if restored[f"[{path!r}]"] != record["digests"][name]]
        if damaged:
            raise BadCheckpoint(f"{len(damaged)} arrays are not what was saved, the first is {damaged[0]}")
        leaves |= defaults
        state = jax.tree.unflatten(jax.tree.structure(abstract), [leaves[path] for path in expected])
        return state, _metadata_of(record)

    def newest_metadata(self) -> tuple[int, dict[str, Any]] | None:
        """Return the step and the metadata of the newest checkpoint whose record is intact; None if there is none.

        Raises:
          UserError: there are checkpoints, but the record of none is intact; or one cannot be read now.
        """
        steps = self.steps()
        for step in reversed(steps):
            with suppress(BadCheckpoint):
                return step, _metadata_of(self._read_record(step))
        if self._read_only and self.steps() != steps:  # The run has removed them while they were read.
            return self.newest_metadata()
        if steps:
            raise self._none_is_intact(steps)
        return None

    def _none_is_intact(self, steps: Sequence[int]) -> UserError:
        """Return the error to raise if all checkpoints are damaged."""
        return UserError(
            f"none of the checkpoints {steps} in {self._folder} is intact: restore them from a backup, or start a new "
            "run in another --workdir"
        )

    def _read_record(self, step: int) -> dict[str, Any]:
        """Read what a checkpoint holds besides its arrays: metadata, and the shape and the digest of every array.

        Raises:
          BadCheckpoint: the record is unreadable, or its content differs from what was saved.
          UserError: permission, memory or another resource is missing to read it.
        """
        with self._convert_read_errors(step, "record"):
            record = self._manager.restore(step, args=ocp.args.Composite(record=ocp.args.JsonRestore()))["record"]
        if not isinstance(record, dict) or record.pop("seal", None) != _digest_record(record) or record["step"] != step:
            raise BadCheckpoint("its record is not what was saved")
        return record

    @contextmanager
    def _convert_read_errors(self, step: int, part: str) -> Iterator[None]:
        """Context manager that converts any exception to a `BadCheckpoint` if what was read is wrong.

        If the files could not be read for another reason, it raises a `UserError`: they may be intact, and must not be
        given up.
        """
        try:
            yield
        except Exception as error:
            if obstacle := find_obstacle(self._folder / str(step), error):
                raise UserError(
                    f"checkpoint {step} in {self._folder} cannot be read ({obstacle}): fix that and run the same "
                    "command again; or move the checkpoint elsewhere, to use the one before it"
                ) from error
            raise BadCheckpoint(f"its {part} cannot be restored ({summarize(list_causes(error)[-1])})") from error

    @property
    def _rejected_folder(self) -> epath.Path:
        """Folder to which damaged checkpoints are moved."""
        return self._folder.parent / (self._folder.name + "_rejected")

    def _reject(self, steps: Sequence[int]) -> None:
        """Move damaged checkpoints from the checkpoint folder to `_rejected_folder`."""
        # When the run reaches these steps again, it saves new checkpoints. Orbax does not overwrite existing ones.
        if jax.process_index() == 0:
            self._rejected_folder.mkdir(parents=True, exist_ok=True)
            for step in steps:
                destination = self._rejected_folder / str(step)
                if destination.exists():
                    shutil.rmtree(destination)
                (self._folder / str(step)).rename(destination)
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices(f"reject checkpoints {steps}")
        self._manager.close()
        self._manager = self._open()

    def _check_architecture(self, step: int, saved: dict[str, str], expected: dict[str, str]) -> None:
        """Check that the saved leaves have the expected paths, dtypes and shapes.

        Args:
          step: step of the checkpoint, for the error message.
          saved: dtype and shape of each saved leaf, as text such as `float32[3, 4]` by leaf path.
          expected: dtype and shape of each expected leaf, in the same form.

        Raises:
          UserError: they differ; the message names up to three leaves.
        """
        differences = [
            f"{path}: saved {saved.get(path, 'absent')}, configured {expected.get(path, 'absent')}"
            for path in sorted(saved.keys() | expected.keys())
            if saved.get(path) != expected.get(path)
        ]
        if differences:
            raise UserError(
                f"checkpoint {step} in {self._folder} is of another architecture ({len(differences)} leaves differ): "
                f"{'; '.join(differences[:3])}: use the config it was trained with, or another --workdir"
            )


def _metadata_of(record: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = record["metadata" if "metadata" in record else "facts"]  # version 0.1 wrote `facts`
    return metadata


def _digest_record(record: dict[str, Any]) -> str:
    """Return the SHA-256 digest of a record, as hexadecimal text.

    A record is the JSON file of a checkpoint: its step, its metadata, and the shape and digest of every leaf.
    """
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
