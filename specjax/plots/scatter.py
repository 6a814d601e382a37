"""Scatter plots of labeled points, drawn with Pillow."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from specjax.plots.render import Rgb

COLORS = ((214, 39, 40), (31, 119, 180), (44, 160, 44), (255, 127, 14), (148, 103, 189), (140, 86, 75), (227, 119, 194))
_MARGIN, _TOP, _RADIUS = 12, 48, 3  # pixels


def plot(
    points: Float[np.ndarray, "points 2"],
    label: Int[np.ndarray, " points"],
    names: Sequence[str],
    title: str,
    *,
    size: int = 420,
) -> Rgb:
    """Draw points as dots whose colors show their labels, with a legend. Both axes have the same scale.

    Args:
      points: horizontal and vertical coordinates.
      label: label of each point, an index into `names`.
      names: names of the labels. From the eighth on, colors repeat.
      title: text above the plot.
      size: height and width of the plot area in pixels.
    """
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.new("RGB", (size + 2 * _MARGIN, size + _TOP + _MARGIN), (255, 255, 255))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    draw.text((_MARGIN, 6), title, (0, 0, 0), font)
    x = float(_MARGIN)
    for i, name in enumerate(names):
        draw.text((x, 25), name, COLORS[i % len(COLORS)], font)
        x += draw.textlength(f"{name}  ", font)
    draw.rectangle((_MARGIN, _TOP, _MARGIN + size, _TOP + size), outline=(160, 160, 160))
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (size - 6 * _RADIUS) / max(float(np.max(high - low)), 1e-12)
    centered = (points - (low + high) / 2) * scale
    for (right, up), i in zip(centered, label, strict=True):
        column, row = _MARGIN + size / 2 + right, _TOP + size / 2 - up
        box = (column - _RADIUS, row - _RADIUS, column + _RADIUS, row + _RADIUS)
        draw.ellipse(box, fill=COLORS[i % len(COLORS)])
    return np.asarray(canvas)
