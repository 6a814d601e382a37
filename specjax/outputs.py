"""Files that a command is to write: refused before any work, whole or not at all after it."""

import os
from collections.abc import Sequence
from pathlib import Path

from specjax import files
from specjax.errors import Refusal


def claim(folder: Path, names: Sequence[str], *, overwrite: bool, flag: str = "--out") -> dict[str, Path]:
    """Paths by name in `folder`, which is made; `flag` is who named it.

    Raises:
      Refusal: the folder cannot be made or written, or a file is there already and must not be overwritten.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(f"{flag}={folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refusal(f"{flag}={folder} cannot be written: change its permissions or choose another")
    outputs = {name: folder / name for name in names}
    if taken := [path for path in outputs.values() if path.exists() and not overwrite]:
        raise Refusal(f"{taken[0]} exists already: choose another {flag}, or --overwrite")
    return outputs


def claim_file(path: Path, suffixes: Sequence[str], *, overwrite: bool, flag: str = "--out") -> Path:
    """One file whose name ends as it must; else as `claim`.

    Raises:
      Refusal: as `claim`; the name ends otherwise.
    """
    if path.suffix not in suffixes:
        raise Refusal(f"{flag}={path} must end in {' or '.join(suffixes)}")
    return claim(path.parent, [path.name], overwrite=overwrite, flag=flag)[path.name]


def write(path: Path, content: bytes) -> None:
    """
    Raises:
      Refusal: the disk is full, or the folder has gone.
    """
    try:
        files.write_whole(path, content)
    except OSError as error:
        raise Refusal(f"{path} cannot be written: {error.strerror or error}") from error
