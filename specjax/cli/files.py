"""Files that are there whole or not at all, and what goes into them."""

import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

_unfinished: set[Path] = set()


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A new file beside `path` to be written: durable and under that name when all went well, or else gone.

    Whoever looks sees the old file or the new one.

    Raises:
      OSError: there is no room, or no permission.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{secrets.token_hex(6)}")  # no suffix: nobody takes it for a finished one
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # anew: no link is followed
    _unfinished.add(partial)
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
        _make_durable(path.parent)
    finally:
        partial.unlink(missing_ok=True)
        _unfinished.discard(partial)


def _make_durable(folder: Path) -> None:
    """Names are kept by the folder, which is written at its own time."""
    with suppress(OSError):  # some file systems cannot, and then write at once
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_atomic(path: Path, content: bytes) -> None:
    """
    Raises:
      OSError: there is no room, or no permission; nothing is left behind.
    """
    with atomic_file(path) as partial:
        partial.write_bytes(content)


def remove_partial_files() -> None:
    """What a process that leaves at once has to do for files it is still writing."""
    for partial in set(_unfinished):
        partial.unlink(missing_ok=True)


def png(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """An RGB picture as a PNG file."""
    from PIL import Image

    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG")
    return encoded.getvalue()


def wav(wave: Float[np.ndarray, " samples"], sample_rate: int) -> bytes:
    """A wave in [-1, 1] as a WAV file of 16 bits."""
    import soundfile

    encoded = io.BytesIO()
    soundfile.write(encoded, wave, sample_rate, format="WAV", subtype="PCM_16")
    return encoded.getvalue()
