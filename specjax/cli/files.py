"""Atomic file writing, and encoding of PNG images and WAV sounds."""

import io
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int16, UInt8

_log = logging.getLogger("specjax")
_partial_files: set[Path] = set()


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Context manager that writes the file `path` atomically.

    It yields the path of a temporary file in the same folder. When the context ends, the temporary file is flushed to
    disk and renamed to `path`. Readers of `path` see either the old file or the complete new one. If the context ends
    with an exception, the temporary file is removed and `path` stays as it was. Missing parent folders are created.

    Raises:
      OSError: the disk is full, or permission is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{secrets.token_hex(6)}")  # It has no suffix, so `*.SUFFIX` does not match.
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # O_EXCL does not follow links.
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
    """Remove the temporary files of all unfinished atomic writes, before the process exits."""
    for partial in set(_partial_files):
        partial.unlink(missing_ok=True)


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
    """Round samples in [-1, 1] to 16 bits. Samples outside of the range are clipped."""
    return np.clip(np.round(wave * 32768.0), -32768, 32767).astype(np.int16)
