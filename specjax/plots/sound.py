"""Pictures of sound for people: hertz, seconds and decibels on the axes. They need the extra `plots`."""

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 900  # more than are drawn side by side: of a few that share one the loudest must be seen
_LOWEST_HZ = 30.0
_SHOWN_HZ = (31.25, 62.5, 125, 250, 500, 1000, 2000, 4000, 8000, 16000)


@dataclass(frozen=True)
class Panel:
    """Curves over time by their names, in one unit; `octaves`: points of tones, drawn as far apart as they sound."""

    unit: str
    curves: Mapping[str, Float[np.ndarray, " frames"]]
    octaves: bool = False


def spectrogram(
    level_db: Float[np.ndarray, "rows frames"],
    frequency_hz: Float[np.ndarray, " rows"],
    time_s: Float[np.ndarray, " frames"],
    title: str,
) -> bytes:
    """A spectrogram, lowest row first, as a PNG."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(10, 5), layout="constrained")
    _levels(axes, level_db, frequency_hz, time_s)
    axes.set_title(title, parse_math=False)
    return _png(figure)


def features(
    level_db: Float[np.ndarray, "rows frames"],
    frequency_hz: Float[np.ndarray, " rows"],
    time_s: Float[np.ndarray, " frames"],
    panels: Sequence[Panel],
    beat_s: Float[np.ndarray, " beats"],
    title: str,
) -> bytes:
    """A spectrogram with its beats above it, and below it panels of curves over the same time, as a PNG."""
    plt = _pyplot()
    heights = [3.0] + [1.1] * len(panels)
    figure, axes = plt.subplots(
        len(heights), figsize=(10, 1.6 * sum(heights)), height_ratios=heights, sharex=True, layout="constrained"
    )
    _levels(axes[0], level_db, frequency_hz, time_s)
    # Beats are ticks on the upper edge: lines would bury a long sound.
    axes[0].plot(beat_s, np.full(len(beat_s), 1.025), "|", color="black", markersize=8, clip_on=False,
                 transform=axes[0].get_xaxis_transform())  # fmt: skip
    axes[0].set_xlabel("")
    axes[0].set_title(title, pad=16, parse_math=False)
    for axis, panel in zip(axes[1:], panels, strict=True):
        axis.set_ylabel(panel.unit)
        if panel.octaves:
            for name, values in panel.curves.items():
                axis.plot(time_s, values, ".", label=name, markersize=3)
            _octaves(axis, *_span(panel.curves.values()))
        else:
            for name, values in panel.curves.items():
                _curve(axis, time_s, values, name)
            axis.ticklabel_format(axis="y", useOffset=False)
        if len(panel.curves) > 1:
            axis.legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=len(panel.curves), fontsize="small",
                        frameon=False, borderaxespad=0)  # fmt: skip
    axes[-1].set_xlabel("time (s)")
    axes[-1].set_xlim(time_s[0], time_s[-1])
    return _png(figure)


def _levels(axes: "Axes", level_db: np.ndarray, frequency_hz: np.ndarray, time_s: np.ndarray) -> None:
    together = -(-len(time_s) // _COLUMNS)
    starts = np.arange(0, len(time_s), together)
    shown = frequency_hz >= min(_LOWEST_HZ, frequency_hz[-1] / 2)
    drawn = axes.pcolormesh(
        time_s[starts], frequency_hz[shown], np.maximum.reduceat(level_db[shown], starts, axis=1), shading="nearest",
        cmap="magma", rasterized=True,
    )  # fmt: skip
    _octaves(axes, frequency_hz[shown][0], frequency_hz[-1])
    axes.set_xlabel("time (s)")
    axes.set_ylabel("frequency (Hz)")
    axes.figure.colorbar(drawn, ax=axes, label="level (dB below the loudest)", pad=0.01)


def _octaves(axes: "Axes", lowest_hz: float, highest_hz: float) -> None:
    axes.set_yscale("log")
    axes.set_ylim(lowest_hz, highest_hz)
    axes.set_yticks([hz for hz in _SHOWN_HZ if lowest_hz <= hz <= highest_hz])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(_ticker().NullLocator())


def _span(curves: Any) -> tuple[float, float]:
    """An octave around what there is, at least."""
    known = np.concatenate([values[np.isfinite(values)] for values in curves])
    low, high = (known.min(), known.max()) if len(known) else (125.0, 500.0)
    return min(low / 1.2, np.sqrt(low * high) / np.sqrt(2)), max(high * 1.2, np.sqrt(low * high) * np.sqrt(2))


def _curve(axes: "Axes", time_s: np.ndarray, values: np.ndarray, name: str) -> None:
    """A line; of a long sound the range that it covers, and the mean."""
    together = len(time_s) // _COLUMNS
    if together < 2:
        axes.plot(time_s, values, label=name, linewidth=1)
        return
    whole = len(time_s) // together * together
    pieces = values[:whole].reshape(-1, together)
    at_s = time_s[:whole:together]
    (line,) = axes.plot(at_s, pieces.mean(axis=1), label=name, linewidth=1)
    axes.fill_between(at_s, pieces.min(axis=1), pieces.max(axis=1), color=line.get_color(), alpha=0.3, linewidth=0)


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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a title may hold letters that the font lacks
        figure.savefig(encoded, format="png", dpi=120)
    _pyplot().close(figure)
    return encoded.getvalue()
