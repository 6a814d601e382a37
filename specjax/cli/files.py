"""Atomic writing of files and folders, reading of regular files, and encoding of PNG images and WAV sounds."""

import errno
import fcntl
import io
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int16, UInt8

from specjax.cli.errors import UserError

_log = logging.getLogger("specjax")
_PREFIX = ".specjax-partial-"
_ABANDONED_AFTER_S = 60.0  # age of an unlocked temporary file that no process will ever finish
_partial_paths: set[Path] = set()


@contextmanager
def atomic_file(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Context manager that writes the file `path` atomically.

    It yields the path of a temporary file in the same folder. When the context ends, the temporary file is flushed to
    disk and renamed to `path`. Readers of `path` see either the old file or the complete new one. If the context ends
    with an exception, the temporary file is removed and `path` stays as it was. Missing parent folders are created.

    Raises:
      FileExistsError: `path` exists at the end, and `replace` is false.
      OSError: the disk is full, or permission is missing.
    """
    with _temporary(path, _create_file) as partial:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        if replace:
            os.replace(partial, path)
        else:
            _rename_to_new(partial, path)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Context manager that makes the folder `path` with its content atomically; `path` must not exist.

    It yields the path of a temporary folder, which is renamed to `path` when the context ends. If the context ends with
    an exception, the temporary folder is removed. Missing parent folders are created.

    Raises:
      OSError: the disk is full, permission is missing, or `path` has appeared in the meantime.
    """
    with _temporary(path, _create_folder) as partial:
        yield partial
        partial.rename(path)


@contextmanager
def _temporary(path: Path, create: Callable[[Path], int]) -> Iterator[Path]:
    """Context manager that yields a temporary path beside `path`, and removes what is left there when it ends.

    Args:
      create: creates the temporary file or folder, and returns a file descriptor of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path.parent.resolve())
    partial = path.with_name(_PREFIX + secrets.token_hex(6))  # It has no suffix, so `*.SUFFIX` does not match.
    handle = create(partial)
    _partial_paths.add(partial)
    try:
        with suppress(OSError):  # Some file systems have no locks. What a killed process leaves there is not removed.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield partial
        _flush_folder(path.parent)
    finally:
        _remove(partial)
        _partial_paths.discard(partial)
        os.close(handle)


def _rename_to_new(partial: Path, path: Path) -> None:
    """Rename a file to `path`, which must not exist; `os.rename` would replace it."""
    try:
        os.link(partial, path)  # `partial` is removed later.
    except FileExistsError:
        raise
    except OSError as error:  # Some file systems have no hard links.
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from error
        os.rename(partial, path)


def _create_file(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)  # O_EXCL does not follow links.


def _create_folder(path: Path) -> int:
    path.mkdir()
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


@cache
def _remove_abandoned(folder: Path) -> None:
    """Remove the temporary files and folders of processes that were killed, once for each folder.

    A process that still writes holds the lock of its temporary file.
    """
    for partial in folder.glob(_PREFIX + "*"):
        with suppress(OSError):
            handle = os.open(partial, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - os.fstat(handle).st_mtime > _ABANDONED_AFTER_S:
                    _remove(partial)
            finally:
                os.close(handle)


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Flush a folder to disk. The new name of a renamed file is durable only after that."""
    with suppress(OSError):  # Some file systems cannot flush a folder; they write names at once.
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically: readers see either the old file or the complete new one.

    Raises:
      OSError: the disk is full, or permission is missing; no partial file is left.
    """
    with atomic_file(path) as partial:
        partial.write_bytes(content)


def remove_partial_files() -> None:
    """Remove the temporary files and folders of all unfinished atomic writes, before the process exits."""
    for partial in set(_partial_paths):
        _remove(partial)


def read_regular(path: Path, max_bytes: int | None = None) -> bytes:
    """Read a regular file; a pipe, which might never end, is an error.

    Raises:
      OSError: the file is missing, unreadable, not a regular file, or larger than `max_bytes`.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    if max_bytes is not None and path.stat().st_size > max_bytes:
        raise OSError(errno.EFBIG, f"it has {path.stat().st_size} bytes, expected at most {max_bytes}", path)
    return path.read_bytes()


def png(picture: UInt8[np.ndarray, "height width 3"] | UInt8[np.ndarray, "height width 4"]) -> bytes:
    """Encode an 8-bit RGB or RGBA image as PNG."""
    from PIL import Image

    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG")
    return encoded.getvalue()


def wav(wave: Float[np.ndarray, "*channels samples"], sample_rate: int) -> bytes:
    """Encode a wave with samples in [-1, 1] as 16-bit WAV; `sample_rate` is in Hz.

    A wave of shape (samples,) is mono. In one of shape (channels, samples), the left channel comes first. A warning is
    logged if the wave is so quiet that the file is silent.
    """
    import soundfile

    samples = to_int16(wave)
    if wave.any() and not samples.any():
        peak_db = 20 * np.log10(np.abs(wave).max())
        _log.warning("a sound of peak %.0f dB is silent in 16 bits, expected at least -96 dB: amplify it", peak_db)
    encoded = io.BytesIO()
    soundfile.write(encoded, samples.T, sample_rate, format="WAV")
    return encoded.getvalue()


def to_int16(wave: Float[np.ndarray, "*shape"]) -> Int16[np.ndarray, "*shape"]:
    """Round samples in [-1, 1] to 16 bits. Samples outside of the range are clipped.

    Raises:
      UserError: a sample is not a finite number.
    """
    if not np.isfinite(wave).all():
        raise UserError("the sound holds samples that are not finite numbers: its bundle or its input is damaged")
    return np.clip(np.round(wave * 32768.0), -32768, 32767).astype(np.int16)
