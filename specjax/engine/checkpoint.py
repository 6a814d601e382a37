"""Checkpoints that are never silently wrong.

Orbax writes them, asynchronously and atomically; but a flipped bit in its files restores as a wrong number without
a word. So each step also carries a digest of every leaf, taken on device, and a restore is believed only when the
digests agree. A step that fails is set aside, with its reason, and the one before it is tried.

Leaves are saved by their paths alone: a tree that holds the same arrays in other containers restores them.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from etils import epath
from jaxtyping import Array, UInt32

from specjax.cli.errors import UserError
from specjax.engine.legacy import upgrade_leaf_path

Tree = Any
log = logging.getLogger("specjax")


class BadCheckpoint(Exception):
    """A step on disk that must not be used, and why."""


@jax.jit  # traced once for all leaves of a shape, of which parameters, moments and averages have many
def leaf_digest(x: Array) -> UInt32[Array, "2"]:
    """64 bits of fingerprint of an array's bits, in order; integer sums, so equal for any sharding."""
    bits = _as_words(x).reshape(-1)
    place = jnp.arange(bits.size, dtype=jnp.uint32)
    mixed = _mix(bits ^ _mix(place + jnp.uint32(0x9E3779B9)))
    return jnp.stack([jnp.sum(mixed, dtype=jnp.uint32), jnp.sum(_mix(mixed ^ place), dtype=jnp.uint32)])


def digests(tree: Tree) -> dict[str, str]:
    """Fingerprint of every leaf by its path, as hexadecimal text."""
    pairs = jax.device_get(_tree_digests(leaves_by_path(tree)))
    return {path: f"{int(pair[0]):08x}{int(pair[1]):08x}" for path, pair in pairs.items()}


class Checkpoints:
    """The checkpoints of one workdir. All processes call every method; process 0 writes what is not an array."""

    def __init__(self, folder: epath.PathLike, keep: int = 3) -> None:
        self._folder = epath.Path(folder)
        self._keep = keep
        self._saving = False
        self._manager = self._open()

    def _open(self) -> ocp.CheckpointManager:
        options = ocp.CheckpointManagerOptions(
            preservation_policy=ocp.checkpoint_managers.LatestN(n=self._keep),
            cleanup_tmp_directories=True,
            enable_async_checkpointing=True,
        )
        return ocp.CheckpointManager(self._folder.resolve(), options=options)

    def steps(self) -> list[int]:
        """Steps that look finished, oldest first."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, state: Tree, facts: dict[str, Any]) -> None:
        """Start writing `state`; returns once it is copied off the device. An earlier save's error surfaces here."""
        record = {"step": step, "facts": facts, "shapes": leaf_shapes(state), "digests": digests(state)}
        record["seal"] = _seal(record)
        with self._refusing():
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(leaves_by_path(state)), record=ocp.args.JsonSave(record)
                ),
                force=True,
            )
        self._saving = True

    def check(self) -> None:
        """Refuse to go on where a save that ran beside went wrong; costs nothing where none has just ended."""
        # `check_for_errors` never tells: Orbax's own thread has asked it before, and it answers once.
        if self._saving and not self._manager.is_saving_in_progress():
            self.wait()

    def wait(self) -> None:
        """Block until everything is on disk; refuses where something went wrong."""
        self._saving = False
        with self._refusing():
            self._manager.wait_until_finished()

    def close(self) -> None:
        try:
            self._manager.close()
        except Exception as error:  # what failed was said when it failed; closing must not hide that
            log.debug("closing %s: %s", self._folder, error)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise UserError(
                f"a checkpoint in {self._folder} could not be written ({_short(error)}): make room, then run the same "
                "again; it resumes from the last whole one"
            ) from error

    def restore_newest(self, abstract: Tree, *, mend: bool = True) -> tuple[int, Tree, dict[str, Any]] | None:
        """The newest step whose digests agree, as (step, state, facts); None where there is no checkpoint.

        With `mend`, steps found bad are moved out of the way; without, nothing on disk changes.

        Raises:
          UserError: there are steps and none is good, or they belong to another architecture.
        """
        steps = self.steps()
        for step in reversed(steps):
            try:
                state, facts = self.restore(step, abstract)
            except BadCheckpoint as bad:
                log.warning("checkpoint %d is not usable: %s", step, bad)
                if mend:
                    self._set_aside(step)
                continue
            return step, state, facts
        if steps:
            raise UserError(
                f"none of the checkpoints {steps} in {self._folder} is intact: restore them from a copy, or start "
                "afresh with another --workdir"
            )
        return None

    def restore(self, step: int, abstract: Tree) -> tuple[Tree, dict[str, Any]]:
        """State and facts of one step.

        Raises:
          BadCheckpoint: unreadable, or not what was saved.
          UserError: intact, but of another architecture; names the leaves that differ.
        """
        try:
            record = self._manager.restore(step, args=ocp.args.Composite(record=ocp.args.JsonRestore()))["record"]
        except Exception as error:
            raise BadCheckpoint(f"its record is unreadable ({_short(error)})") from error
        if not isinstance(record, dict) or record.pop("seal", None) != _seal(record) or record["step"] != step:
            raise BadCheckpoint("its record is not what was saved")
        saved = {upgrade_leaf_path(path): digest for path, digest in record["digests"].items()}
        shapes = {upgrade_leaf_path(path): shape for path, shape in record["shapes"].items()}
        self._check_architecture(step, shapes, leaf_shapes(abstract))
        saved_paths = {upgrade_leaf_path(path): path for path in record["shapes"]}
        try:
            wanted = {saved_paths[path]: leaf for path, leaf in leaves_by_path(abstract).items()}
            args = ocp.args.Composite(state=ocp.args.StandardRestore(wanted))
            leaves = self._manager.restore(step, args=args)["state"]
        except Exception as error:
            raise BadCheckpoint(f"its arrays are unreadable ({_short(error)})") from error
        state = jax.tree.unflatten(
            jax.tree.structure(abstract), [leaves[saved_paths[path]] for path in leaves_by_path(abstract)]
        )
        found = digests(state)
        wrong = [path for path in saved if found.get(path) != saved[path]]
        if wrong:
            raise BadCheckpoint(f"{len(wrong)} arrays are not what was saved, first {wrong[0]}")
        return state, record["facts"]

    @property
    def _aside(self) -> epath.Path:
        return self._folder.parent / (self._folder.name + "_rejected")

    def _set_aside(self, step: int) -> None:
        """Move a bad step out of the folder: Orbax would refuse to save at or below it."""
        if jax.process_index() == 0:
            self._aside.mkdir(parents=True, exist_ok=True)
            destination = self._aside / str(step)
            if destination.exists():
                shutil.rmtree(destination)
            (self._folder / str(step)).rename(destination)
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices(f"set aside {step}")
        self._manager.close()
        self._manager = self._open()

    def _check_architecture(self, step: int, saved: dict[str, str], wanted: dict[str, str]) -> None:
        differing = [
            f"{path}: saved {saved.get(path, 'absent')}, configured {wanted.get(path, 'absent')}"
            for path in sorted(saved.keys() | wanted.keys())
            if saved.get(path) != wanted.get(path)
        ]
        if differing:
            raise UserError(
                f"checkpoint {step} in {self._folder} is of another architecture ({len(differing)} leaves differ): "
                f"{'; '.join(differing[:3])}. Use its own config, or another --workdir"
            )


def leaves_by_path(tree: Tree) -> dict[str, Any]:
    """Every leaf by its path, in the order of the tree."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def leaf_shapes(tree: Tree) -> dict[str, str]:
    """Type and shape of every leaf by its path, as text."""
    return {path: f"{x.dtype}{list(x.shape)}" for path, x in leaves_by_path(tree).items()}


def _seal(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


@jax.jit
def _tree_digests(tree: Tree) -> Tree:
    return jax.tree.map(leaf_digest, tree)


def _as_words(x: Array) -> UInt32[Array, "..."]:
    if x.dtype == jnp.bool_:
        return x.astype(jnp.uint32)
    unsigned = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}
    return jax.lax.bitcast_convert_type(x, unsigned[x.dtype.itemsize]).astype(jnp.uint32)


def _mix(x: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


def _short(error: Exception) -> str:
    """The first line of an error; of a long one both ends, where it says what and why."""
    line = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}: {line if len(line) <= 240 else f'{line[:80]} ... {line[-150:]}'}"
