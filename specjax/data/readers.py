"""Readers of idx files (the format of MNIST) and image files, and validation of what they return.

Each reader checks the type and the size that the file header declares before it allocates memory for the content. A
file that fails a check raises `UserError`.
"""

import gzip
import io
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from jaxtyping import Float, UInt8

from specjax.cli.errors import UserError
from specjax.cli.paths import local_path

if TYPE_CHECKING:
    from PIL.Image import Image

IDX_BYTE = 0x08
MAX_IDX_BYTES = 2**31
# Constant content can be compressed by any factor, real data rarely by more than 100. Small files may always be
# unpacked.
MAX_EXPANSION = 250
UNSUSPICIOUS_BYTES = 2**27
MAX_PICTURE_BYTES = 2**24
MAX_PICTURE_SIDE = 8192
MAX_FILES = 1_000_000
# Pillow's other decoders are less tested, and one of them starts another program.
PICTURE_FORMATS = ("PNG", "JPEG", "BMP", "PPM", "GIF", "WEBP", "TIFF")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".gif", ".webp", ".tif", ".tiff")


def read_idx(path: str | Path, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """Read an idx file (the format of MNIST) of unsigned bytes.

    Args:
      path: file to read; if its name ends in `.gz`, it is decompressed.
      dimensions: expected number of dimensions of the array.

    Returns:
      The array, in the shape that the file declares.

    Raises:
      UserError: the file is not a readable regular file; it is not an idx file of unsigned bytes with `dimensions`
        dimensions; it declares an empty array, or more than 2 GiB; its content is shorter or longer than declared.
    """
    path = local_path(path, kind="file")
    check_regular_file(path)
    header = 4 + 4 * dimensions
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            head = file.read(header)
            shape = _parse_idx_shape(path, head, dimensions)
            size = int(np.prod(shape, dtype=object))
            if path.suffix == ".gz":
                check_expansion(path, size)
            body = _read_at_most(cast(io.BufferedIOBase, file), size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}), expected a complete idx file: get the file again") from error
    if len(body) != size:
        fault = "is truncated" if len(body) < size else "continues past its end"
        raise UserError(f"{path} {fault}: expected {size} bytes for shape {shape}, get the file again")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _read_at_most(file: io.BufferedIOBase, size: int) -> bytearray:
    """Read `size` bytes from a file, or fewer if it ends earlier.

    Memory is allocated in steps of 1 MiB, so a false and huge `size` does not exhaust it.
    """
    body = bytearray()
    while len(body) < size and (block := file.read(min(size - len(body), 2**20))):
        body += block
    return body


def _parse_idx_shape(path: Path, head: bytes, dimensions: int) -> tuple[int, ...]:
    if len(head) < 4 + 4 * dimensions:
        raise UserError(
            f"{path} is truncated: {len(head)} bytes, expected at least {4 + 4 * dimensions}, get the file again"
        )
    zero, kind, rank = struct.unpack(">HBB", head[:4])
    if (zero, kind, rank) != (0, IDX_BYTE, dimensions):
        raise UserError(
            f"{path} is not an idx file of bytes with {dimensions} dimensions: it starts with {head[:4].hex()}, "
            f"expected {bytes([0, 0, IDX_BYTE, dimensions]).hex()}: get the file again"
        )
    shape = struct.unpack(f">{dimensions}I", head[4:])
    if 0 in shape:
        raise UserError(f"{path} is empty: its header declares shape {shape}, get the file again")
    if int(np.prod(shape, dtype=object)) > MAX_IDX_BYTES:
        raise UserError(
            f"{path} declares shape {shape}, expected at most {MAX_IDX_BYTES} bytes: it is damaged or hostile"
        )
    return shape


def read_picture(path: str | Path) -> UInt8[np.ndarray, "height width"]:
    """Read an image file as 8-bit gray levels, 0 to 255.

    The image is read by `read_color_picture`. Transparent pixels are laid on white, and colors are converted to luma.

    Raises:
      UserError: see `read_color_picture`.
    """
    from PIL import Image

    opaque = Image.fromarray(read_color_picture(path))
    opaque = Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque)
    return np.asarray(opaque.convert("L"))


def read_color_picture(path: str | Path) -> UInt8[np.ndarray, "height width 4"]:
    """Read an image file as 8-bit red, green, blue and alpha (opacity). An image without alpha is opaque.

    Images are rotated as their EXIF data says. Colors for printing (CMYK) are converted. Gray levels of 16 bits are
    scaled to 8 bits, and so are floats in [0, 1]. Of an animation, the first frame is read.

    Raises:
      UserError: the file is not a readable regular file, not an image in one of `PICTURE_FORMATS`, or too large; pixels
        are integers of 32 bits, or floats that are not finite or outside of [0, 1].
    """
    from PIL import Image, ImageOps

    path = local_path(path, kind="file")
    check_regular_file(path)
    if path.stat().st_size > MAX_PICTURE_BYTES:
        raise UserError(
            f"{path} has {path.stat().st_size} bytes, expected at most {MAX_PICTURE_BYTES}: shrink the image"
        )
    with open_picture(path) as picture:
        if max(picture.size) > MAX_PICTURE_SIDE:
            size = f"{picture.size[0]} x {picture.size[1]}"
            raise UserError(f"{path} is {size}, expected sides of at most {MAX_PICTURE_SIDE}: shrink the image")
        if picture.mode == "I" and picture.format != "PPM":  # Pillow scales the gray levels of a PPM file to 16 bits.
            raise UserError(f"{path} has pixels of 32 bits, expected 8 or 16: save it with 8-bit colors")
        upright = ImageOps.exif_transpose(picture)
        if upright.mode == "F" or upright.mode.startswith("I"):
            upright = Image.fromarray(_scale_to_bytes(np.asarray(upright), path))
        if upright.mode == "CMYK":  # Pillow cannot convert it to RGBA in one step.
            upright = upright.convert("RGB")
        return np.asarray(upright.convert("RGBA"))


def _scale_to_bytes(levels: np.ndarray, path: Path) -> UInt8[np.ndarray, "height width"]:
    """Scale gray levels of 16 bits, or floats in [0, 1], to 8 bits. Pillow's conversion would clip instead of scale."""
    if levels.dtype.kind == "f":
        return _quantize(levels, path)
    return (levels.astype(np.uint32) // 257).astype(np.uint8)


@contextmanager
def open_picture(path: Path, formats: tuple[str, ...] = PICTURE_FORMATS) -> Iterator["Image"]:
    """Open an image file. Errors of the decoder become `UserError`, also those that occur in the context.

    Args:
      path: file to open.
      formats: accepted formats, by Pillow's names.

    Raises:
      UserError: the file is not an image in one of the formats, or has more pixels than Pillow accepts.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(path, formats=formats)
        with opened as picture:
            yield picture
    except UserError:
        raise
    except Exception as error:  # Decoders of untrusted bytes can raise anything.
        raise UserError(f"{path} is not a readable image ({error}): save it as {formats[0]} again") from error


def check_digits(images: np.ndarray, where: str | Path) -> UInt8[np.ndarray, "n 28 28"]:
    """Validate 28x28 gray images and convert them to uint8.

    Args:
      images: array of shape (n, 28, 28) or (n, 28, 28, 1). Floats in [0, 1] are scaled to 0 to 255 and rounded. uint8
        values are returned unchanged.
      where: source of the images, for error messages.

    Raises:
      UserError: the images have another shape, dtype or range; pixels are not finite.
    """
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise UserError(
            f"{where}: images of shape {images.shape[1:]}, expected 28 x 28 gray levels: resize them, or "
            "for pictures use --fit or data.fit=true"
        )
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise UserError(f"{where}: pixels of type {images.dtype}, expected uint8 or floats in [0, 1]: convert them")
    return _quantize(images, where)


def _quantize(pixels: Float[np.ndarray, "*shape"], where: str | Path) -> UInt8[np.ndarray, "*shape"]:
    """Scale pixels in [0, 1] to 0 to 255 and round them.

    Raises:
      UserError: pixels are not finite, or outside of [0, 1].
    """
    if bad := int(np.sum(~np.isfinite(pixels))):
        raise UserError(f"{where}: {bad} pixels are not finite, expected floats in [0, 1]: remove them")
    if pixels.min() < 0 or pixels.max() > 1:
        raise UserError(f"{where}: pixels from {pixels.min():.3g} to {pixels.max():.3g}, expected 0 to 1: scale them")
    return np.round(pixels * 255).astype(np.uint8)


def check_labels(labels: np.ndarray, count: int, classes: int, where: str | Path) -> np.ndarray:
    """Validate the labels of `count` images and convert them to int32.

    Args:
      labels: integer array of shape (count,), with values from 0 to `classes - 1`.
      count: number of images.
      classes: number of classes.
      where: source of the labels, for error messages.

    Raises:
      UserError: the shape is not (count,), or a label is out of range.
    """
    if labels.shape != (count,):
        raise UserError(f"{where}: {labels.shape} labels for {count} images: the two files do not belong together")
    if labels.min() < 0 or labels.max() >= classes:
        wrong = int(labels[(labels < 0) | (labels >= classes)][0])
        raise UserError(
            f"{where}: label {wrong} is out of range 0 to {classes - 1}: raise data.labels or repair the file"
        )
    return labels.astype(np.int32)


def check_regular_file(path: Path) -> None:
    """Check that a path is a regular file (not a folder, pipe or device) that is readable and not empty.

    Raises:
      UserError: the path does not exist, is not a regular file, is not readable, or is empty.
    """
    # Reading a pipe or a device could block forever.
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is not a regular file, expected one: name a file")
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except PermissionError as error:
        raise UserError(f"{path} is not readable by this user: change its permissions") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    if empty:
        raise UserError(f"{path} is empty: get the file again")


def check_expansion(path: Path, unpacked: int) -> None:
    """Check that a compressed file does not expand far more than real data does.

    Args:
      path: compressed file.
      unpacked: number of bytes that the file expands to.

    Raises:
      UserError: the content has more than 128 MiB, and 250 times the size of the file.
    """
    packed = path.stat().st_size
    if unpacked > max(UNSUSPICIOUS_BYTES, MAX_EXPANSION * packed):
        raise UserError(
            f"{path} unpacks from {packed} to {unpacked} bytes, expected at most {MAX_EXPANSION} times its size: it is "
            "damaged or hostile"
        )


def check_folder(path: Path, expected: str) -> None:
    """Check that a path is a folder that is readable and not empty.

    Args:
      path: folder to check.
      expected: what the folder should contain, for error messages.

    Raises:
      UserError: the path does not exist, is not a folder, is not readable, or is empty.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: name a folder of {expected}")
    if not path.is_dir():
        raise UserError(f"{path} is not a folder: name a folder of {expected}")
    try:
        os.stat(os.path.join(path, "."))  # Listing a folder and entering it are separate permissions.
        empty = not any(path.iterdir())
    except PermissionError as error:
        raise UserError(f"{path} is not readable by this user: change its permissions") from error
    if empty:
        raise UserError(f"{path} is empty: expected {expected}")


def file_version(path: Path) -> tuple[int, int]:
    """Return the size of a file in bytes and the time of its last change in ns, which differ if the file has changed.

    Both are 0 if the file cannot be found; its reader will say what is wrong with it.
    """
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def files_with_suffix(folder: Path, suffixes: Collection[str], kind: str) -> list[Path]:
    """List the files in a folder and all its subfolders whose names have one of some suffixes, sorted by path.

    The suffix may be in upper or lower case. Symbolic links to folders are not followed.

    Args:
      folder: folder to search.
      suffixes: suffixes in lower case, with the dot.
      kind: what the files are, a plural, for error messages.

    Raises:
      UserError: the folder or a subfolder is not readable; there are no such files, or more than a million.
    """
    check_folder(folder, kind)
    paths = []
    for parent, folders, names in os.walk(folder, onerror=_raise_user_error, followlinks=False):
        folders.sort()
        paths += [Path(parent, name) for name in names if Path(name).suffix.lower() in suffixes]
        if len(paths) > MAX_FILES:
            raise UserError(f"{folder} contains more than {MAX_FILES} {kind}: name a smaller folder")
    if not paths:
        raise UserError(
            f"{folder} contains no {kind}, expected names that end in {', '.join(suffixes)}: name another folder"
        )
    return sorted(paths)


def _raise_user_error(error: OSError) -> None:
    raise UserError(f"{error.filename} cannot be read ({error.strerror}): change its permissions") from error


def subfolders(folder: Path) -> list[Path]:
    """List the subfolders of a folder, sorted by name. Those whose name begins with a dot are left out."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
