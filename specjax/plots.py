"""Pictures of sound for people: hertz, seconds and decibels on the axes. They need the extra `plots`."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN_HZ = (125, 250, 500, 1000, 2000, 4000, 8000, 16000)


def spectrogram(
    level_db: Float[np.ndarray, "rows frames"],
    frequency_hz: Float[np.ndarray, " rows"],
    time_s: Float[np.ndarray, " frames"],
    title: str,
) -> bytes:
    """A spectrogram, lowest row first, as a PNG; frequencies on an octave scale where the rows are spaced like that."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(10, 5), layout="constrained")
    _levels(axes, level_db, frequency_hz, time_s)
    axes.set_title(title)
    return _png(figure)


def features(
    level_db: Float[np.ndarray, "rows frames"],
    frequency_hz: Float[np.ndarray, " rows"],
    time_s: Float[np.ndarray, " frames"],
    curves: Mapping[str, Mapping[str, Float[np.ndarray, " frames"]]],
    beat_s: Float[np.ndarray, " beats"],
    title: str,
) -> bytes:
    """A spectrogram with beats, and below it a panel for each group of curves over the same time, as a PNG."""
    plt = _pyplot()
    heights = [3.0] + [1.0] * len(curves)
    figure, axes = plt.subplots(
        len(heights), figsize=(10, 1.6 * sum(heights)), height_ratios=heights, sharex=True, layout="constrained"
    )
    _levels(axes[0], level_db, frequency_hz, time_s)
    axes[0].vlines(beat_s, *axes[0].get_ylim(), color="white", linewidth=0.6, linestyle="--")
    axes[0].set_xlabel("")
    axes[0].set_title(title)
    for panel, (unit, group) in zip(axes[1:], curves.items(), strict=True):
        for name, values in group.items():
            panel.plot(time_s, values, label=name, linewidth=1)
        panel.set_ylabel(unit)
        panel.legend(loc="upper right", fontsize="small", ncols=len(group))
    axes[-1].set_xlabel("time (s)")
    return _png(figure)


def _levels(axes: "Axes", level_db: np.ndarray, frequency_hz: np.ndarray, time_s: np.ndarray) -> None:
    drawn = axes.pcolormesh(time_s, frequency_hz, level_db, shading="nearest", cmap="magma", rasterized=True)
    steps = np.diff(frequency_hz)
    if len(steps) > 1 and steps[-1] > 1.5 * steps[0]:
        axes.set_yscale("symlog", linthresh=1000.0)
        axes.set_yticks([hz for hz in _SHOWN_HZ if frequency_hz[0] <= hz <= frequency_hz[-1]])
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(_ticker().NullLocator())
    axes.set_xlabel("time (s)")
    axes.set_ylabel("frequency (Hz)")
    axes.figure.colorbar(drawn, ax=axes, label="level (dB)", pad=0.01)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    return plt


def _ticker() -> Any:
    import matplotlib.ticker

    return matplotlib.ticker


def _png(figure: Any) -> bytes:
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", dpi=120)
    _pyplot().close(figure)
    return encoded.getvalue()
