"""Rendering of arrays as RGB images: uint8 of shape (height, width, 3), top row first, drawn with Pillow."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

Rgb = UInt8[np.ndarray, "height width 3"]

# The colormap runs from black through violet and orange to pale yellow, with nearly uniform steps in lightness.
_ANCHORS = np.array(
    [(0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51), (249, 140, 10),
     (249, 201, 50), (252, 255, 164)]
)  # fmt: skip


def apply_colormap(levels: Float[np.ndarray, "height width"]) -> Rgb:
    """Map levels in [0, 1] to colors; other levels are clipped, NaN counts as 0."""
    position = np.clip(np.nan_to_num(levels), 0, 1) * (len(_ANCHORS) - 1)
    axis = np.arange(len(_ANCHORS))
    return np.stack([np.interp(position, axis, _ANCHORS[:, i]) for i in range(3)], -1).astype(np.uint8)


def shrink(picture: Float[np.ndarray, "height width"], factor: int) -> Float[np.ndarray, "h w"]:
    """Downsample by the maxima of `factor` x `factor` blocks, which keep thin lines visible.

    Rows and columns beyond a multiple of `factor` are dropped.
    """
    height, width = (n // factor * factor for n in picture.shape)
    blocks = picture[:height, :width].reshape(height // factor, factor, width // factor, factor)
    return blocks.max(axis=(1, 3))


def tile(
    rows: Sequence[Sequence[Rgb]], captions: Sequence[str], titles: Sequence[str] = (), margin: int = 6
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Arrange images of equal size in a grid.

    Args:
      rows: images by row and column.
      captions: text above each column.
      titles: text to the left of each row.
      margin: space between images, in pixels.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = rows[0][0].shape[:2]
    left, top = (110 if titles else margin), 22
    size = (left + len(rows[0]) * (width + margin), top + len(rows) * (height + margin))
    sheet = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            sheet.paste(Image.fromarray(picture), (left + j * (width + margin), top + i * (height + margin)))
    for j, caption in enumerate(captions):
        draw.text((left + j * (width + margin), 3), caption, (0, 0, 0), font)
    for i, title in enumerate(titles):
        draw.text((4, top + i * (height + margin) + height // 2 - 8), title, (0, 0, 0), font)
    return np.asarray(sheet)


def round_numbers(low: float, high: float) -> list[float]:
    """List about six round numbers from `low` to `high`: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / 6
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = magnitude * next(m for m in (1, 2, 5, 10) if m * magnitude >= rough)
    first, last = math.ceil(low / step), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def spectrogram(
    levels: Float[np.ndarray, "rows columns"],
    *,
    row_hz: float = 1.0,
    duration_s: float = 1.0,
    rows: tuple[int, int] | None = None,
    title: str = "",
    size: tuple[int, int] = (720, 480),
) -> Rgb:
    """Draw a spectrogram with low frequencies at the bottom and axes in seconds and hertz.

    Args:
      levels: values in [0, 1]; row r is the frequency `r * row_hz`.
      row_hz: spacing of the rows, in Hz.
      duration_s: length of the time axis in seconds, above 0.
      rows: range of rows to show, end exclusive; None shows all.
      title: text above the plot.
      size: width and height of the plot area, in pixels.
    """
    from PIL import Image, ImageDraw, ImageFont

    first, last = rows or (0, levels.shape[0])
    width, height = size
    field = Image.fromarray(apply_colormap(levels[first:last][::-1])).resize(size, Image.Resampling.BILINEAR)
    left, top, bottom = 70, 30, 45
    canvas = Image.new("RGB", (left + width + 20, top + height + bottom), (255, 255, 255))
    canvas.paste(field, (left, top))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(13)
    draw.text((left, 7), title, (0, 0, 0), font)
    for second in round_numbers(0.0, duration_s):
        x = left + second / duration_s * width
        draw.line([(x, top + height), (x, top + height + 4)], (0, 0, 0))
        draw.text((x, top + height + 6), f"{second:g}", (0, 0, 0), font, anchor="ma")
    lowest_hz, highest_hz = (first - 0.5) * row_hz, (last - 0.5) * row_hz  # A row is centered on its frequency.
    for hz in round_numbers(lowest_hz, highest_hz):
        y = top + (highest_hz - hz) / (highest_hz - lowest_hz) * height
        draw.line([(left - 4, y), (left, y)], (0, 0, 0))
        draw.text((left - 8, y), f"{hz:g}", (0, 0, 0), font, anchor="rm")
    draw.text((left + width / 2, top + height + 24), "time (s)", (0, 0, 0), font, anchor="ma")
    draw.text((4, 7), "f (Hz)", (0, 0, 0), font)
    return np.asarray(canvas)
