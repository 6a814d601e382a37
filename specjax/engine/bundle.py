"""What leaves the house: a folder of safetensors and a JSON card, opened with no data set, on any device.

A bundle may come from a stranger. Nothing in it is executed; every name, size and shape is checked against the card
and against the network that the card describes before a tensor is used.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from specjax.cli.config import read_json
from specjax.cli.errors import UserError
from specjax.engine import legacy
from specjax.engine.task import Part

FORMAT = "specjax-bundle/2"
CARD = "card.json"
MAX_CARD_BYTES = 2**22
MAX_PART_BYTES = 2**33
Tree = Any


class Bundle(NamedTuple):
    """A wing's parts, their tensors by path, and what is known about how they were made."""

    task: str
    parts: dict[str, Part]
    about: dict[str, Any]


def save(folder: Path, task: str, parts: dict[str, Part], about: dict[str, Any]) -> None:
    """Write a bundle, whole or not at all.

    Raises:
      UserError: `folder` exists or cannot be written.
    """
    from safetensors.numpy import save as encode

    if folder.exists():
        raise UserError(f"{folder} exists already: remove it or choose another --out")
    partial = folder.with_name(folder.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        card: dict[str, Any] = {"format": FORMAT, "task": task, "about": about, "parts": {}}
        for name, part in parts.items():
            file = partial / f"{name}.safetensors"
            file.write_bytes(encode({path: np.ascontiguousarray(x) for path, x in flatten(part.tensors).items()}))
            card["parts"][name] = {"sha256": _sha256(file), "card": part.card}
        (partial / CARD).write_text(json.dumps(card, indent=2), encoding="utf-8")
        partial.rename(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UserError(f"{folder} cannot be written: {error.strerror or error}") from error


def load(folder: Path) -> Bundle:
    """Open a bundle.

    Raises:
      UserError: not a bundle, of another format, damaged, or larger than a bundle may be.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: name a bundle made by specjax.export")
    path = folder / CARD
    if not path.is_file():
        raise UserError(f"{folder} holds no {CARD}: name a bundle made by specjax.export")
    if path.stat().st_size > MAX_CARD_BYTES:
        raise UserError(f"{path} has {path.stat().st_size} bytes, more than a card may have")
    card = legacy.upgrade_card(read_json(path), FORMAT)
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else type(card).__name__
        raise UserError(f"{path} is of format {found!r}, expected {FORMAT!r}")
    listed = card.get("parts")
    if not isinstance(listed, dict) or not listed or not all(isinstance(entry, dict) for entry in listed.values()):
        raise UserError(f"{path} lists no parts")
    parts = {name: _load_part(folder, name, entry) for name, entry in listed.items()}
    return Bundle(str(card.get("task")), parts, dict(card.get("about") or {}))


def fit(part: Part, abstract: Tree, where: str) -> Tree:
    """The part's tensors as the tree `abstract`, which the wing's own code gives the shapes of.

    Raises:
      UserError: a tensor is missing, foreign, or of another shape or type.
    """
    wanted = flatten(abstract)
    missing, foreign = (
        sorted(wanted.keys() - part.tensors.keys()),
        sorted(part.tensors.keys() - wanted.keys()),
    )
    if missing or foreign:
        what = f"lacks the tensor {missing[0]}" if missing else f"holds the foreign tensor {foreign[0]}"
        raise UserError(f"{where} {what} ({len(missing)} missing, {len(foreign)} foreign): export it anew")
    for path, expected in wanted.items():
        found = part.tensors[path]
        if found.shape != expected.shape or found.dtype != expected.dtype:
            raise UserError(
                f"{where}: {path} is {found.dtype}{list(found.shape)}, "
                f"expected {expected.dtype}{list(expected.shape)}: export it anew"
            )
        if not np.all(np.isfinite(found)):
            raise UserError(f"{where}: {path} holds values that are not finite numbers: export it anew")
    leaves, structure = jax.tree_util.tree_flatten_with_path(abstract)
    return jax.tree.unflatten(structure, [part.tensors[_path(path)] for path, _ in leaves])


def flatten(tree: Tree) -> dict[str, Any]:
    """Leaves by path, names joined by slashes."""
    return {_path(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def _path(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _load_part(folder: Path, name: str, entry: dict[str, Any]) -> Part:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not name.isidentifier():
        raise UserError(f"{folder / CARD} names a part {name!r}: part names are plain words")
    file = folder / f"{name}.safetensors"
    if not file.is_file() or file.is_symlink():
        raise UserError(f"{file} is missing or not a plain file: export the bundle anew")
    if file.stat().st_size > MAX_PART_BYTES:
        raise UserError(f"{file} has {file.stat().st_size} bytes, more than a part may have")
    if _sha256(file) != entry.get("sha256"):
        raise UserError(f"{file} is not what its card describes (checksums differ): it is damaged, export it anew")
    try:
        tensors = load_file(file)
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{file} is no safetensors file ({error})") from error
    card = entry.get("card")
    if not isinstance(card, dict):
        raise UserError(f"{folder / CARD} has no card for part {name!r}")
    return Part(tensors, card)


def _sha256(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
