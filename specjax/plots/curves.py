"""Plots of curves over the updates of a training, drawn with matplotlib."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from specjax.plots import render


def plot(
    curves: Mapping[str, tuple[Sequence[int], Sequence[float]]], title: str, scale: Literal["linear", "log"] = "log"
) -> render.Rgb:
    """Plot curves over the update number.

    Args:
      curves: (steps, values) of each curve, by name in the legend.
      title: text above the plot.
      scale: scale of the vertical axis.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=100, layout="constrained")
    canvas, axes = FigureCanvasAgg(figure), figure.subplots()
    for heading, (steps, values) in curves.items():
        axes.plot(steps, values, label=heading)
    axes.set(title=title, xlabel="update", yscale=scale)
    axes.legend()
    canvas.draw()
    rgb = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    return rgb
