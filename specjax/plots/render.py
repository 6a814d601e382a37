"""Rendering of arrays as RGB images with Pillow. Images are uint8 arrays of shape (height, width, 3), top row first."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

Rgb = UInt8[np.ndarray, "height width 3"]

# Colors at equally spaced levels from 0 to 1: black, violet, orange and pale yellow, with nearly uniform steps in
# lightness.
_ANCHORS = np.array(
    [(0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51), (249, 140, 10),
     (249, 201, 50), (252, 255, 164)]
)  # fmt: skip


def apply_colormap(levels: Float[np.ndarray, "height width"]) -> Rgb:
    """Map levels in [0, 1] to the colors of a colormap from black to pale yellow.

    Levels outside [0, 1] are clipped, and NaN counts as 0.
    """
    position = np.clip(np.nan_to_num(levels), 0, 1) * (len(_ANCHORS) - 1)
    axis = np.arange(len(_ANCHORS))
    return np.stack([np.interp(position, axis, _ANCHORS[:, i]) for i in range(3)], -1).astype(np.uint8)


def shrink(picture: Float[np.ndarray, "height width"], factor: int) -> Float[np.ndarray, "h w"]:
    """Downsample an image by `factor` along both axes; each output pixel is the maximum of a block of pixels.

    Rows and columns at the end that do not fill a block are dropped.
    """
    # Maxima keep thin bright lines visible.
    height, width = (n // factor * factor for n in picture.shape)
    blocks = picture[:height, :width].reshape(height // factor, factor, width // factor, factor)
    return blocks.max(axis=(1, 3))


def tile(
    rows: Sequence[Sequence[Rgb]], captions: Sequence[str] = (), titles: Sequence[str] = (), margin: int = 6
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Arrange images in a grid on a white background.

    Args:
      rows: images of equal size: one sequence for each row of the grid, all of the same length.
      captions: text above each column of the grid; empty for no captions.
      titles: text to the left of each row of the grid; empty for no titles.
      margin: space between images, in pixels.

    Returns:
      The grid as one RGB image.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = rows[0][0].shape[:2]
    left, top = (110 if titles else margin), (22 if captions else margin)
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
    """Choose about six tick values between `low` and `high`, for an axis of a plot.

    The ticks are the multiples of a step that is 1, 2 or 5 times a power of ten. `high` must be greater than `low`.
    """
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
    """Draw a spectrogram as an RGB image, with a time axis in seconds and a frequency axis in hertz.

    Low frequencies are at the bottom.

    Args:
      levels: spectrogram values in [0, 1]; row r has the frequency `r * row_hz`, columns are equally spaced in time.
      row_hz: frequency difference between adjacent rows, in Hz.
      duration_s: length of the time axis in seconds, above 0.
      rows: (first, end) range of the rows to show; row `end` is not included. None shows all rows.
      title: text above the plot.
      size: (width, height) of the plot area without axes and title, in pixels.
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
    lowest_hz, highest_hz = (first - 0.5) * row_hz, (last - 0.5) * row_hz  # The frequency of a row is at its center.
    for hz in round_numbers(lowest_hz, highest_hz):
        y = top + (highest_hz - hz) / (highest_hz - lowest_hz) * height
        draw.line([(left - 4, y), (left, y)], (0, 0, 0))
        draw.text((left - 8, y), f"{hz:g}", (0, 0, 0), font, anchor="rm")
    draw.text((left + width / 2, top + height + 24), "time (s)", (0, 0, 0), font, anchor="ma")
    draw.text((4, 7), "f (Hz)", (0, 0, 0), font)
    return np.asarray(canvas)
