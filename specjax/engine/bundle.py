"""Exported model bundles, each a folder of safetensors files and a JSON file that describes them (the card).

Inference from a bundle needs no data set and works on any device. A bundle may come from an untrusted source. Nothing
in it is executed. Before a tensor is used, its name, size and shape are checked against the card, and against the
network that the card describes.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jaxtyping import Array, Key

from specjax.cli import files, shipped
from specjax.cli.config import read_json, to_dataclass
from specjax.cli.errors import UserError
from specjax.cli.shipped import CARD
from specjax.engine import legacy
from specjax.engine.task import Part

FORMAT = "specjax-bundle/2"
MAX_PART_BYTES = 2**33
Tree = Any
Settings = TypeVar("Settings")
Inference = TypeVar("Inference")


class Bundle(NamedTuple):
    """An opened bundle, which is a model exported for inference.

    task: name of the training task that made the model, such as `chord/unet`.
    parts: parts of the model, such as networks, by name. The `tensors` of each part are a flat dict of NumPy arrays.
      Its keys are leaf paths, such as `encoder/conv/kernel`.
    about: metadata of the training, such as the step and the library versions.
    """

    task: str
    parts: dict[str, Part]
    about: dict[str, Any]


def save(folder: Path, task: str, parts: dict[str, Part], about: dict[str, Any]) -> None:
    """Write a bundle, which is a model exported for inference: a safetensors file for each part, and a JSON file.

    If writing fails, no files are left behind.

    Args:
      folder: folder of the bundle; it must not exist yet.
      task: name of the training task that made the model, such as `chord/unet`.
      parts: parts of the model, such as networks, by name. The `tensors` of each part are any pytree of arrays.
      about: metadata of the training, such as the step and the library versions; must be JSON-serializable.

    Raises:
      UserError: `folder` exists or cannot be written.
      ValueError: the name of a part is not a plain word.
      TypeError: a card or `about` is not JSON-serializable.
    """
    from safetensors.numpy import save as encode

    if folder.exists():
        raise UserError(f"{folder} exists already: remove it or choose another --out")
    if bad := [name for name in parts if not name.isidentifier()]:
        raise ValueError(f"part {bad[0]!r}: expected a name of letters, digits and underscores")
    try:
        with files.atomic_folder(folder) as partial:
            card: dict[str, Any] = {"format": FORMAT, "task": task, "about": about, "parts": {}}
            for name, part in parts.items():
                file = partial / f"{name}.safetensors"
                file.write_bytes(encode({path: np.asarray(x, order="C") for path, x in flatten(part.tensors).items()}))
                card["parts"][name] = {"sha256": _sha256(file), "card": part.card}
            (partial / CARD).write_text(json.dumps(seal(card), indent=2), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror or error}") from error


def seal(card: dict[str, Any]) -> dict[str, Any]:
    """Return the card (JSON description) of a bundle with its own checksum in the entry `sha256`."""
    content = {name: value for name, value in card.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return content | {"sha256": digest}


def locate(folder: Path) -> Path:
    """Return the folder of a bundle that is named by its path or, if it comes with the package, by its name.

    If the working directory has a folder of that name too, it comes first if it holds a card.

    Raises:
      UserError: `folder` is neither a folder nor the name of a bundle that comes with the package.
    """
    names = shipped.names()
    if str(folder) in names and not (folder / CARD).is_file():
        return shipped.FOLDER / folder
    if not folder.is_dir():
        known = ", ".join(names) or "none is installed"
        raise UserError(
            f"{folder} is neither a folder nor a bundle that comes with specjax ({known}): "
            "name a bundle made by `specjax export`"
        )
    return folder


def load(folder: Path) -> Bundle:
    """Open a bundle (a model exported for inference), after checking the sizes and checksums of its files.

    Args:
      folder: path of the bundle, or name of one that comes with the package (see `locate`).

    Raises:
      UserError: `folder` is not a bundle, has another format version, is damaged, or exceeds the size limits.
    """
    folder = locate(folder)
    path = folder / CARD
    if not path.is_file():
        raise UserError(f"{folder} holds no {CARD}: name a bundle made by `specjax export`")
    card = legacy.upgrade_card(read_json(path), FORMAT)
    if card.get("format") != FORMAT:
        raise UserError(f"{path} is of format {card.get('format')!r}, expected {FORMAT!r}: export the bundle again")
    # Bundles without a checksum of the card were exported before there was one.
    if unknown := sorted(card.keys() - {"format", "task", "about", "parts", "sha256"}):
        raise UserError(f"{path} has an unknown entry {unknown[0]!r}: export the bundle again")
    if "sha256" in card and card != seal(card):
        raise UserError(f"{path} is damaged (checksums differ): export the bundle again")
    entries = card.get("parts")
    if not isinstance(entries, dict) or not entries or not all(isinstance(entry, dict) for entry in entries.values()):
        raise UserError(f"{path} lists no parts, expected at least one: export the bundle again")
    about = card.get("about") or {}
    if not isinstance(about, dict):
        raise UserError(f"{path}: `about` is {about!r}, expected a JSON object: export the bundle again")
    parts = {name: _load_part(folder, name, entry) for name, entry in entries.items()}
    return Bundle(str(card.get("task")), parts, about)


def digest(folder: Path) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of a bundle's card, which holds the checksums of its parts.

    Args:
      folder: path of the bundle, or name of one that comes with the package (see `locate`).

    Raises:
      UserError: there is no such folder, or it holds no card.
    """
    path = locate(folder) / CARD
    if not path.is_file():
        raise UserError(f"{folder} holds no {CARD}: name a bundle made by `specjax export`")
    return _sha256(path)[:12]


def check_classes(folder: str, kind: str, found: Sequence[str], expected: Sequence[str]) -> None:
    """Check that a model knows the classes of the data, in the same order.

    Args:
      folder: folder of the model's bundle or run.
      kind: what the classes are, a plural such as `genres`.
      found: classes that the model knows.
      expected: classes of the data.

    Raises:
      UserError: they differ.
    """
    if tuple(found) != tuple(expected):
        raise UserError(
            f"{folder} knows the {kind} {', '.join(found)}, expected {', '.join(expected)}: name a model that was "
            f"trained on the same {kind}"
        )


def open_part(
    opened: Bundle,
    where: str,
    name: str,
    settings: type[Settings],
    make_inference: Callable[[Settings], Inference],
    init: Callable[[Inference, Key[Array, ""]], Tree],
) -> tuple[Inference, Tree]:
    """Prepare a bundle that consists of a single part for inference.

    Args:
      opened: the bundle.
      where: its folder, for error messages.
      name: name of the part.
      settings: dataclass of the settings that the part's card holds.
      make_inference: makes an object that describes the networks from these settings.
      init: initializes the exported variables, given this object and a random key. Only shapes and dtypes are computed.

    Returns:
      The object that describes the networks, and the variables.

    Raises:
      UserError: there are other parts, the settings are invalid, or the tensors do not fit the networks.
    """
    if set(opened.parts) != {name}:
        raise UserError(f"{where} has the parts {sorted(opened.parts)}, expected {[name]}; re-export the bundle")
    part = opened.parts[name]
    inference = make_inference(to_dataclass(settings, part.card, f"{where}: config"))
    return inference, unflatten(part, jax.eval_shape(lambda key: init(inference, key), jax.random.key(0)), where)


def unflatten(part: Part, abstract: Tree, where: str) -> Tree:
    """Arrange the tensors of a loaded part in the structure of the tree `abstract`, after checking each tensor.

    Args:
      part: part of an opened bundle (an exported model). Its tensors are a flat dict of arrays by leaf path, such as
        `encoder/conv/kernel`.
      abstract: pytree whose leaves have the expected shapes and dtypes, such as a result of `jax.eval_shape`.
      where: folder of the bundle, for error messages.

    Raises:
      UserError: a tensor is missing, unexpected, of another shape or dtype, or not finite.
    """
    expected = flatten(abstract)
    missing = sorted(expected.keys() - part.tensors.keys())
    unexpected = sorted(part.tensors.keys() - expected.keys())
    if missing or unexpected:
        first = f"missing tensor {missing[0]}" if missing else f"unexpected tensor {unexpected[0]}"
        raise UserError(
            f"{where}: {first} ({len(missing)} missing, {len(unexpected)} unexpected): export the bundle again"
        )
    for path, target in expected.items():
        tensor = part.tensors[path]
        if tensor.shape != target.shape or tensor.dtype != target.dtype:
            raise UserError(
                f"{where}: {path} is {tensor.dtype}{list(tensor.shape)}, "
                f"expected {target.dtype}{list(target.shape)}: export the bundle again"
            )
        if not np.all(np.isfinite(tensor)):
            raise UserError(f"{where}: {path} holds values that are not finite numbers: export the bundle again")
    leaves, structure = jax.tree_util.tree_flatten_with_path(abstract)
    return jax.tree.unflatten(structure, [part.tensors[_format_path(path)] for path, _ in leaves])


def flatten(tree: Tree) -> dict[str, Any]:
    """Flatten a tree to a flat dict of leaves by path, such as `encoder/conv/kernel`."""
    return {_format_path(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def _format_path(path: tuple[Any, ...]) -> str:
    """Format the path of a leaf, with its components joined by slashes."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _load_part(folder: Path, name: str, entry: dict[str, Any]) -> Part:
    """Read one part of a bundle (an exported model), such as a network, after checking its name, size and checksum.

    Args:
      folder: folder of the bundle.
      name: name of the part.
      entry: description of the part in the JSON file of the bundle. Its key `sha256` holds the checksum of the tensor
        file. Its key `card` holds the settings of the part, such as the config of the network.

    Raises:
      UserError: the name is not a plain word, the tensor file is missing, damaged or too large, or `card` is missing.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not name.isidentifier():
        raise UserError(
            f"{folder / CARD} names a part {name!r}, expected a plain word of letters, digits and underscores: "
            "export the bundle again"
        )
    file = folder / f"{name}.safetensors"
    if not file.is_file() or file.is_symlink():
        raise UserError(f"{file} is missing or not a regular file: export the bundle again")
    if file.stat().st_size > MAX_PART_BYTES:
        raise UserError(
            f"{file} has {file.stat().st_size} bytes, expected at most {MAX_PART_BYTES}: export the bundle again"
        )
    if _sha256(file) != entry.get("sha256"):
        raise UserError(f"{file} is damaged (checksums differ): export the bundle again")
    try:
        tensors = load_file(file)
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{file} is not a safetensors file ({error}): export the bundle again") from error
    card = entry.get("card")
    if not isinstance(card, dict):
        raise UserError(f"{folder / CARD} has no card for part {name!r}: export the bundle again")
    return Part(tensors, card)


def _sha256(file: Path) -> str:
    """Return the SHA-256 digest of a file, as hexadecimal text."""
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
