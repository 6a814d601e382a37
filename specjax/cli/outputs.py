"""Output files of commands: checked before a command does any work, and written atomically at its end."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from specjax.cli import files
from specjax.cli.errors import UserError

_new_files: set[Path] = set()  # claimed files that did not exist; one that appears meanwhile is not replaced


def claim(folder: Path, names: Sequence[str], *, overwrite: bool, flag: str = "--out") -> dict[str, Path]:
    """Check that files can be written to a folder, and return the path of each file by name.

    Nothing is created on disk. The folder is created when the first file is written.

    Args:
      folder: folder in which the files are to be written.
      names: names of the files.
      overwrite: whether existing files may be replaced.
      flag: option with which the user gave the folder, for error messages.

    Raises:
      UserError: the folder cannot be created or written to, one of the paths is a folder, or one of the files exists
        and `overwrite` is false.
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
    for path in outputs.values():
        (_new_files.discard if overwrite else _new_files.add)(path.absolute())
    return outputs


def claim_file(path: Path, suffixes: Sequence[str], *, overwrite: bool, flag: str = "--out") -> Path:
    """Check that a file can be written, and return its path. Nothing is created on disk.

    Args:
      path: path of the file.
      suffixes: accepted suffixes of the file, in lower case, such as `.wav`.
      overwrite: whether an existing file may be replaced.
      flag: option with which the user gave the path, for error messages.

    Raises:
      UserError: the file has none of the suffixes, is a folder, exists and `overwrite` is false, or cannot be written.
    """
    if path.suffix.lower() not in suffixes:
        raise UserError(f"{flag}={path} must end in {' or '.join(suffixes)}")
    return claim(path.parent, [path.name], overwrite=overwrite, flag=flag)[path.name]


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Context manager that writes an output file atomically, like `files.atomic_file`.

    Raises:
      UserError: the file cannot be written, for example because the disk is full; or it has appeared since it was
        claimed without `overwrite`.
    """
    try:
        with files.atomic_file(path, replace=path.absolute() not in _new_files) as partial:
            yield partial
        _new_files.discard(path.absolute())
    except FileExistsError as error:
        raise UserError(f"{path} has appeared while this command ran: choose another path, or --overwrite") from error
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error


def write(path: Path, content: bytes) -> None:
    """Write `content` to an output file atomically: readers see either the old file or the complete new one.

    Raises:
      UserError: as `atomic_file`.
    """
    with atomic_file(path) as partial:
        partial.write_bytes(content)
