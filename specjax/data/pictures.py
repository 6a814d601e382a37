"""Reading of many image files into one array of square pictures of equal size."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from specjax.cli.errors import UserError
from specjax.data.clips import Skipped, check_memory
from specjax.data.readers import PICTURE_SUFFIXES, files_with_suffix, read_color_picture
from specjax.data.skipping import SkippedFiles
from specjax.image.linear import area_matrix, resample_matrix


class Pictures(NamedTuple):
    """Square pictures that were read from image files.

    Attributes:
      pixels: red, green and blue of each picture, 0 to 255.
      paths: file of each picture.
      skipped: files that could not be used, with the reasons.
    """

    pixels: UInt8[np.ndarray, "pictures size size 3"]
    paths: list[Path]
    skipped: list[Skipped]


def picture_files(folder: Path) -> list[Path]:
    """List the image files in a folder and all its subfolders, sorted by path.

    Raises:
      UserError: the folder or a subfolder is not readable; there are no image files, or more than a million.
    """
    return files_with_suffix(folder, PICTURE_SUFFIXES, "pictures")


def read_pictures(paths: Sequence[Path], size: int, *, max_bad_share: float) -> Pictures:
    """Read image files of any size as square pictures, see `read_square`.

    Files that are not readable images are skipped and logged as warnings, unless their fraction of all files exceeds
    `max_bad_share`. The pictures take `3 * size**2` bytes each.

    Args:
      paths: files to read.
      size: number of pixels of a side.
      max_bad_share: largest fraction of bad files to accept, 0 to 1.

    Raises:
      UserError: `paths` is empty; all files are bad; the fraction of bad files exceeds `max_bad_share` (the message
        includes the error of the first bad file); the pictures need more than half of the available memory.
    """
    if not paths:
        raise UserError("no pictures to read, expected at least one: name some")
    check_memory(3 * len(paths) * size**2, f"{len(paths)} pictures of {size} x {size} pixels", "use fewer pictures")
    pixels = np.empty((len(paths), size, size, 3), np.uint8)
    kept: list[Path] = []
    skipped = SkippedFiles(len(paths), "pictures", max_bad_share)
    for i, path in enumerate(paths):
        try:
            pixels[len(kept)] = read_square(path, size)
            kept.append(path)
        except UserError as error:
            skipped.add(i, error)
    skipped.report()
    return Pictures(pixels[: len(kept)], kept, [Skipped(paths[i], reason) for i, reason in skipped.reasons.items()])


def read_square(path: Path, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Read an image file as a square picture.

    Transparent pixels are laid on white, and gray ones become colors. The square in the middle of the image is cut out,
    as large as its shorter side. It is shrunk by averages over areas, or enlarged by bilinear interpolation.

    Args:
      path: file to read, see `read_color_picture`.
      size: number of pixels of a side.

    Raises:
      UserError: the file is not a readable image.
    """
    picture = read_color_picture(path)
    height, width, _ = picture.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[top : top + side, left : left + side]
    matrix = area_matrix(side, size) if side >= size else resample_matrix(side, size, "bilinear")
    opacity = square[..., 3] / np.float32(255)
    # One color at a time, because an image may have up to 8192 x 8192 pixels.
    colors = [matrix @ (opacity * square[..., i] + 255 * (1 - opacity)) @ matrix.T for i in range(3)]
    return np.clip(np.round(np.stack(colors, axis=-1)), 0, 255).astype(np.uint8)
