"""Atomic writing of files, and encoders of PNG and WAV."""

import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

_partial_files: set[Path] = set()


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Write a file atomically: yield the path of a temporary file, which becomes `path` when the context ends.

    Readers see the old file or the complete new one, never a part. The new file is flushed to the disk before it is
    renamed. If the context ends with an exception, the temporary file is removed and `path` stays as it was. Missing
    parent folders are made.

    Raises:
      OSError: the disk is full, or permission is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{secrets.token_hex(6)}")  # Without suffix no glob matches it.
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # O_EXCL follows no link.
    _partial_files.add(partial)
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
        _flush_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)
        _partial_files.discard(partial)


def _flush_folder(folder: Path) -> None:
    """Flush a folder to the disk: it holds the names of its files, and a renamed file is durable only after this."""
    with suppress(OSError):  # Some file systems cannot flush folders; they write names at once.
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically, as `atomic_file` does.

    Raises:
      OSError: the disk is full, or permission is missing; no partial file is left.
    """
    with atomic_file(path) as partial:
        partial.write_bytes(content)


def remove_partial_files() -> None:
    """Remove the temporary files of all writes under way, for a process that is about to exit."""
    for partial in set(_partial_files):
        partial.unlink(missing_ok=True)


def png(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """Encode an RGB picture as PNG."""
    from PIL import Image

    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG")
    return encoded.getvalue()


def wav(wave: Float[np.ndarray, " samples"], sample_rate: int) -> bytes:
    """Encode a mono wave with samples in [-1, 1] as 16-bit WAV; `sample_rate` is in Hz."""
    import soundfile

    encoded = io.BytesIO()
    soundfile.write(encoded, wave, sample_rate, format="WAV", subtype="PCM_16")
    return encoded.getvalue()
