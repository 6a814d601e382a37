"""Drawings and photographs of digits, brought to the format of the training digits (MNIST).

A picture is scaled to 512 pixels first; all sizes below are in these pixels. What differs from the background is ink.
Strokes of ink get the width of the training digits, because a network reads strokes of other widths badly.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from specjax.cli.errors import UserError
from specjax.image import linear

SIDE = 512  # longer side that pictures are scaled to
MIN_SIDE = 8  # shorter side of a picture, before it is scaled
BACKGROUND_SIDE = 48  # longer side at which the background is computed
BOX = 20  # longer side of the digit in the result
STROKE = 0.14  # median width of the strokes of MNIST's digits, as a fraction of the digit's longer side
MIN_CONTRAST = 0.15  # difference between ink and background, as a fraction of the largest possible one
INK = 0.35  # pixels of at least this fraction of the greatest contrast are ink
MIN_MARK = 0.05  # area of a mark that belongs to the digit, as a fraction of the area of the largest one
MAX_MARKS = 6
# Widest empty columns and rows inside a digit, as fractions of its longer side. A 5 may have a detached bar on top.
MAX_COLUMN_GAP, MAX_ROW_GAP = 0.05, 0.3
MAX_STROKE = 0.5  # width of strokes, as a fraction of the digit's longer side

Gray = Float[np.ndarray, "height width"]
Mask = Bool[np.ndarray, "height width"]
Cropped = Bool[np.ndarray, "new_height new_width"]


def fit_digit(picture: UInt8[np.ndarray, "height width"], where: str | Path) -> UInt8[np.ndarray, "28 28"]:
    """Convert a drawing or a photograph of a digit to the format of MNIST.

    The result has bright ink on black. Its strokes have the median width of those of MNIST. The longer side of the
    ink's bounding box is 20 pixels, and the ink's center of mass is near the middle of the image.

    Args:
      picture: gray levels. The picture may have any size, and show dark ink on bright paper or bright ink on dark. The
        light may be uneven.
      where: path of the picture, for the error message.

    Raises:
      UserError: the picture is too small, nothing in it stands out from the background, or what does is not one digit.
    """
    height, width = picture.shape
    if min(height, width) < MIN_SIDE:
        raise UserError(f"{where} is {height} x {width} pixels, expected at least {MIN_SIDE} on each side: enlarge it")
    scale = SIDE / max(height, width)
    ink = find_ink(_resize(picture.astype(np.float32), (round(height * scale), round(width * scale))))
    if ink.max() < MIN_CONTRAST:
        raise UserError(
            f"{where}: no digit stands out from its background: use a picture with more contrast and a plain border"
        )
    marks, count = find_marks(ink > INK * ink.max())
    digit = _crop(marks)
    if fault := find_fault(digit, count):
        raise UserError(f"{where} has {fault}, expected one digit on a plain background: crop the picture to the digit")
    return _place(_crop(set_stroke_width(digit, STROKE)))


def find_ink(picture: Gray) -> Gray:
    """Compute how much ink each pixel has, from the difference to the background: 0 for none, at most 1.

    The background at a pixel is the median of the pixels around it. A median ignores strokes, which cover less than
    half of such a window, and follows slow changes of the light as well as sharp edges of shadows. Ink is either darker
    or brighter than the background, whichever differs more. Differences are relative to the background, because ink
    differs less from paper in the shade.
    """
    background = _estimate_background(picture)
    darker = np.maximum(background - picture, 0) / np.maximum(background, 32)
    brighter = np.maximum(picture - background, 0) / np.maximum(255 - background, 32)
    return darker if np.sum(darker**2) > np.sum(brighter**2) else brighter


def find_marks(ink: Mask) -> tuple[Mask, int]:
    """Find the marks (connected parts) of a digit: those that are not much smaller than the largest.

    If some of them do not touch the border of the picture, only these are kept, because edges of paper and of shadows
    do. Gaps of two pixels do not separate marks.

    Returns:
      A mask of the marks, and their number.
    """
    from scipy import ndimage

    closed = ndimage.binary_erosion(ndimage.binary_dilation(ink), border_value=1)
    label, _ = ndimage.label(closed, np.ones((3, 3)))
    area = np.bincount(label.ravel())[1:]
    large = set(np.flatnonzero(area >= MIN_MARK * area.max()) + 1)
    chosen = large - set(np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])) or large
    return np.isin(label, list(chosen)), len(chosen)


def find_fault(digit: Mask, count: int) -> str:
    """Describe why `count` marks, cut out as an image, cannot be a digit; empty if they can."""
    side = max(digit.shape)
    gaps = [int(np.diff(np.flatnonzero(digit.any(axis=axis))).max(initial=1)) - 1 for axis in (0, 1)]
    if count > MAX_MARKS:
        return f"{count} marks"
    if gaps[0] > MAX_COLUMN_GAP * side or gaps[1] > MAX_ROW_GAP * side:
        return "several marks beside or far from each other"
    if _stroke_width(digit) > MAX_STROKE * side:
        return "a solid mark without strokes"
    return ""


def set_stroke_width(digit: Mask, width: float) -> Cropped:
    """Thicken or thin the strokes of a digit to a width, given as a fraction of the longer side of the result.

    The outline is moved by the same distance everywhere. A stroke that would vanish is kept as it is.
    """
    from scipy import ndimage

    # If the outline moves by d, the stroke and the longer side both grow by 2 d.
    distance = (width * max(digit.shape) - _stroke_width(digit)) / (2 * (1 - width))
    padded = np.pad(digit, max(int(distance), 0) + 2)
    outside, inside = (ndimage.distance_transform_edt(mask) for mask in (~padded, padded))
    moved = np.where(padded, 0.5 - inside, outside - 0.5) <= distance
    return moved if moved.any() else digit


def _stroke_width(digit: Mask) -> float:
    """Estimate the mean width of the strokes. In a long stroke, the mean distance to its edge is a quarter of it."""
    from scipy import ndimage

    padded = np.pad(digit, 1)
    return 4 * float(ndimage.distance_transform_edt(padded)[padded].mean())


def _estimate_background(picture: Gray) -> Gray:
    """Compute the median in a window of three quarters of the shorter side, at low resolution, and enlarge it."""
    from scipy import ndimage

    scale = BACKGROUND_SIDE / max(picture.shape)
    small = _resize(picture, (max(round(picture.shape[0] * scale), 2), max(round(picture.shape[1] * scale), 2)))
    radius = 3 * min(small.shape) // 8
    # Reflected at the level of the border, a steady change of the light goes on beyond it.
    padded = np.pad(small, radius, mode="reflect", reflect_type="odd")
    median = ndimage.median_filter(padded, size=2 * radius + 1)[radius:-radius, radius:-radius] if radius else small
    rows, columns = (linear.resample_matrix(n, m, "bilinear") for n, m in zip(small.shape, picture.shape, strict=True))
    return rows @ median @ columns.T


def _resize(picture: Gray, shape: tuple[int, int]) -> Float[np.ndarray, "new_height new_width"]:
    """Shrink an image by averages over areas, or enlarge it by cubic interpolation."""
    rows, columns = (
        linear.area_matrix(n, m) if m <= n else linear.resample_matrix(n, m, "cubic")
        for n, m in zip(picture.shape, shape, strict=True)
    )
    return rows @ picture @ columns.T


def _crop(mask: Mask) -> Cropped:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _place(digit: Mask) -> UInt8[np.ndarray, "28 28"]:
    """Shrink a digit to a longer side of 20 pixels, and center its mass in an image of 28 x 28 pixels."""
    scale = BOX / max(digit.shape)
    rows, columns = (max(1, round(side * scale)) for side in digit.shape)
    small = np.round(255 * _resize(digit.astype(np.float32), (rows, columns))).astype(np.uint8)
    center = [round(float(np.average(np.arange(n), weights=small.sum(axis=1 - i)))) for i, n in enumerate(small.shape)]
    top, left = (int(np.clip(14 - c, 0, 28 - n)) for c, n in zip(center, small.shape, strict=True))
    result = np.zeros((28, 28), np.uint8)
    result[top : top + rows, left : left + columns] = small
    return result
