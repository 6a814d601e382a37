"""File bytes to arrays, or a clear refusal.

Every reader checks what a file claims to be and how large before it allocates, and that it holds exactly that.
"""

import gzip
import io
import os
import stat
import struct
import warnings
import zlib
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import UInt8

from specjax.cli.errors import UserError

IDX_BYTE = 0x08
MAX_IDX_BYTES = 2**31
MAX_PICTURE_BYTES = 2**24
MAX_PICTURE_SIDE = 8192
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".pgm")


def read_idx(path: Path, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """Array of an idx file (LeCun's format), gzipped where the name ends in `.gz`.

    Raises:
      UserError: not a readable regular file; not an idx file of bytes with that many dimensions; more than
        2 GiB claimed; shorter or longer than claimed.
    """
    check_regular_file(path)
    header = 4 + 4 * dimensions
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            head = file.read(header)
            shape = _idx_shape(path, head, dimensions)
            size = int(np.prod(shape, dtype=object))
            body = _read_at_most(cast(io.BufferedIOBase, file), size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}): it is damaged or incomplete, fetch it again") from error
    if len(body) != size:
        what = "is truncated" if len(body) < size else "goes on past its end"
        raise UserError(f"{path} {what}: its header promises {size} bytes for shape {shape}, fetch it again")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _read_at_most(file: io.BufferedIOBase, size: int) -> bytes:
    """Up to `size` bytes, a block at a time: a small file that claims to be large costs no more than it holds."""
    body = bytearray()
    while len(body) < size and (block := file.read(min(size - len(body), 2**20))):
        body += block
    return bytes(body)


def _idx_shape(path: Path, head: bytes, dimensions: int) -> tuple[int, ...]:
    if len(head) < 4 + 4 * dimensions:
        raise UserError(f"{path} is truncated: {len(head)} bytes are no idx header, fetch it again")
    zero, kind, rank = struct.unpack(">HBB", head[:4])
    if (zero, kind, rank) != (0, IDX_BYTE, dimensions):
        raise UserError(
            f"{path} is not an idx file of bytes with {dimensions} dimensions: it starts with {head[:4].hex()}, "
            f"expected {bytes([0, 0, IDX_BYTE, dimensions]).hex()}"
        )
    shape = struct.unpack(f">{dimensions}I", head[4:])
    if 0 in shape:
        raise UserError(f"{path} is empty: its header says shape {shape}")
    if int(np.prod(shape, dtype=object)) > MAX_IDX_BYTES:
        raise UserError(f"{path} claims shape {shape}, more than {MAX_IDX_BYTES} bytes: it is damaged or hostile")
    return shape


def read_picture(path: Path) -> UInt8[np.ndarray, "height width"]:
    """Grey levels of a picture file, 0 to 255.

    Raises:
      UserError: not a readable regular file, not a picture, too large, or holding values that are not numbers.
    """
    from PIL import Image, UnidentifiedImageError

    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    check_regular_file(path)
    if path.stat().st_size > MAX_PICTURE_BYTES:
        raise UserError(f"{path} has {path.stat().st_size} bytes: a picture here has at most {MAX_PICTURE_BYTES}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(path)
        with opened as picture:
            if max(picture.size) > MAX_PICTURE_SIDE:
                raise UserError(f"{path} is {picture.size[0]} x {picture.size[1]}: sides stop at {MAX_PICTURE_SIDE}")
            if picture.mode == "F" and not np.all(np.isfinite(np.asarray(picture))):
                raise UserError(f"{path} holds pixels that are not finite numbers: write it anew as 8-bit greys")
            if picture.mode.startswith("I;16"):  # conversion would clip, not scale
                return (np.asarray(picture).astype(np.uint32) // 257).astype(np.uint8)
            return np.asarray(picture.convert("L"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, *bombs) as error:
        raise UserError(f"{path} is not a readable picture ({error})") from error


def check_digits(images: np.ndarray, where: str | Path) -> UInt8[np.ndarray, "n 28 28"]:
    """Pictures as 28x28 grey levels.

    Floats are taken to lie in [0, 1].

    Raises:
      UserError: another shape, type or range; pixels that are not finite.
    """
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise UserError(f"{where}: pictures of shape {images.shape[1:]}, expected 28 x 28 greys: resize them first")
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise UserError(f"{where}: pixels of type {images.dtype}, expected uint8 or floats in [0, 1]")
    if not np.all(np.isfinite(images)):
        raise UserError(f"{where}: {int(np.sum(~np.isfinite(images)))} pixels are not finite numbers")
    if images.min() < 0 or images.max() > 1:
        raise UserError(f"{where}: pixels from {images.min():.3g} to {images.max():.3g}, expected 0 to 1")
    return np.round(images * 255).astype(np.uint8)


def check_labels(labels: np.ndarray, count: int, classes: int, where: str | Path) -> np.ndarray:
    """Labels as int32, one a picture, below `classes`.

    Raises:
      UserError: another count, or a label out of range.
    """
    if labels.shape != (count,):
        raise UserError(f"{where}: {labels.shape} labels for {count} pictures: the two files do not belong together")
    if labels.min() < 0 or labels.max() >= classes:
        wrong = int(labels[(labels < 0) | (labels >= classes)][0])
        raise UserError(
            f"{where}: label {wrong} is out of range 0 to {classes - 1}: raise data.labels or mend the file"
        )
    return labels.astype(np.int32)


def check_regular_file(path: Path) -> None:
    """Refuse what is not there, not readable, or not a plain file (a folder, a pipe or a device could hang)."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is not a regular file")
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except PermissionError as error:
        raise UserError(f"{path} is not readable by this user: change its permissions") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    if empty:
        raise UserError(f"{path} is empty")


def check_folder(path: Path, expected: str) -> None:
    """Refuse what is not a readable folder with something in it, which is `expected`."""
    if not path.exists():
        raise UserError(f"{path} does not exist: name a folder of {expected}")
    if not path.is_dir():
        raise UserError(f"{path} is not a folder")
    try:
        os.stat(os.path.join(path, "."))  # listing a folder is one permission, passing through it another
        empty = not any(path.iterdir())
    except PermissionError as error:
        raise UserError(f"{path} is not readable by this user: change its permissions") from error
    if empty:
        raise UserError(f"{path} is empty: expected {expected}")
