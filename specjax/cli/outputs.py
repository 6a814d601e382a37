"""Files that a command is to write: refused before any work, whole or not at all after it."""

import os
from collections.abc import Sequence
from pathlib import Path

from specjax.cli import files
from specjax.cli.errors import UserError


def claim(folder: Path, names: Sequence[str], *, overwrite: bool, flag: str = "--out") -> dict[str, Path]:
    """Paths by name in `folder`, which is made once there is something to write; `flag` is who named it.

    Raises:
      UserError: the folder cannot be made or written; a folder is there, or a file that must not be overwritten.
    """
    try:
        nearest = folder.absolute()
        while not nearest.exists():
            nearest = nearest.parent
        if not nearest.is_dir():
            raise UserError(f"{flag}={folder} cannot be made: {nearest} is not a folder")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise UserError(f"{flag}={folder} cannot be written: change the permissions of {nearest} or choose another")
        outputs = {name: folder / name for name in names}
        for path in outputs.values():
            if path.is_dir():
                raise UserError(f"{flag}={path} is a folder: name a file")
            if path.exists() and not overwrite:
                raise UserError(f"{path} exists already: choose another {flag}, or --overwrite")
    except OSError as error:
        raise UserError(f"{flag}={folder} cannot be made: {error.strerror}") from error
    return outputs


def claim_file(path: Path, suffixes: Sequence[str], *, overwrite: bool, flag: str = "--out") -> Path:
    """One file whose name ends as it must; else as `claim`.

    Raises:
      UserError: as `claim`; the name ends otherwise.
    """
    if path.suffix.lower() not in suffixes:
        raise UserError(f"{flag}={path} must end in {' or '.join(suffixes)}")
    return claim(path.parent, [path.name], overwrite=overwrite, flag=flag)[path.name]


def write(path: Path, content: bytes) -> None:
    """
    Raises:
      UserError: the disk is full, or the folder has gone.
    """
    try:
        files.write_atomic(path, content)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
