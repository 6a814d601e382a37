"""Plots of spectrograms and audio features as PNG files, drawn with matplotlib."""

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Largest number of points along the time axis of a plot. In longer spectrograms, groups of adjacent frames are replaced
# by their maximum.
_MAX_COLUMNS = 900
_LOWEST_HZ = 30.0
_TICKS_HZ = (31.25, 62.5, 125, 250, 500, 1000, 2000, 4000, 8000, 16000)


@dataclass(frozen=True)
class Panel:
    """Curves over time to be drawn in one plot with a common vertical axis.

    Attributes:
      unit: label of the vertical axis.
      curves: dict from the name of a curve to its value at each frame.
      octaves: whether the values are frequencies in Hz. They are then drawn as points on a logarithmic vertical axis.
    """

    unit: str
    curves: Mapping[str, Float[np.ndarray, " frames"]]
    octaves: bool = False


def spectrogram(
    level_db: Float[np.ndarray, "channels rows frames"],
    frequency_hz: Float[np.ndarray, " rows"],
    time_s: Float[np.ndarray, " frames"],
    title: str,
    *,
    lowest_db: float | None = None,
) -> bytes:
    """Plot a spectrogram with a logarithmic frequency axis and a color bar, or the two of a stereo sound.

    Args:
      level_db: spectrogram of each channel, one or two, as levels in dB relative to the greatest level of all channels,
        so at most 0. The first row is the lowest frequency.
      frequency_hz: frequency of each row, in Hz.
      time_s: time of each frame, in seconds.
      title: text above the plot.
      lowest_db: level of the darkest color; None for the lowest level.

    Returns:
      The content of a PNG file.
    """
    plt = _import_pyplot()
    channels = len(level_db)
    figure, axes = plt.subplots(channels, figsize=(10, 5 * channels), squeeze=False, layout="constrained")
    titles = [title] if channels == 1 else [f"{title}, left", f"{title}, right"]
    for axis, levels, name in zip(axes[:, 0], level_db, titles, strict=True):
        _draw_spectrogram(axis, levels, frequency_hz, time_s, level_db.min() if lowest_db is None else lowest_db)
        axis.set_title(name, parse_math=False)
    return _encode_png(figure)


def features(
    level_db: Float[np.ndarray, "rows frames"],
    frequency_hz: Float[np.ndarray, " rows"],
    time_s: Float[np.ndarray, " frames"],
    panels: Sequence[Panel],
    beat_s: Float[np.ndarray, " beats"],
    title: str,
) -> bytes:
    """Plot a spectrogram, and below it one or more plots of curves (audio features) with the same time axis.

    Args:
      level_db: spectrogram as levels in dB relative to its greatest level, so at most 0. The first row is the lowest
        frequency.
      frequency_hz: frequency of each row, in Hz.
      time_s: time of each frame, in seconds; also the time axis of the curves.
      panels: plots of curves below the spectrogram, from top to bottom.
      beat_s: time of each beat, in seconds; shown as a tick on the upper edge of the spectrogram.
      title: text above the plot.

    Returns:
      The content of a PNG file.
    """
    plt = _import_pyplot()
    heights = [3.0] + [1.1] * len(panels)
    figure, axes = plt.subplots(
        len(heights), figsize=(10, 1.6 * sum(heights)), height_ratios=heights, sharex=True, layout="constrained"
    )
    _draw_spectrogram(axes[0], level_db, frequency_hz, time_s, level_db.min())
    # Beats are shown as short ticks, because full vertical lines would hide the spectrogram of a long sound.
    axes[0].plot(beat_s, np.full(len(beat_s), 1.025), "|", color="black", markersize=8, clip_on=False,
                 transform=axes[0].get_xaxis_transform())  # fmt: skip
    axes[0].set_xlabel("")
    axes[0].set_title(title, pad=16, parse_math=False)
    for axis, panel in zip(axes[1:], panels, strict=True):
        axis.set_ylabel(panel.unit)
        if panel.octaves:
            for name, values in panel.curves.items():
                axis.plot(time_s, values, ".", label=name, markersize=3)
            _set_octave_axis(axis, *_compute_range(panel.curves.values()))
        else:
            for name, values in panel.curves.items():
                _draw_curve(axis, time_s, values, name)
            axis.ticklabel_format(axis="y", useOffset=False)
        if len(panel.curves) > 1:
            axis.legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=len(panel.curves), fontsize="small",
                        frameon=False, borderaxespad=0)  # fmt: skip
    axes[-1].set_xlabel("time (s)")
    axes[-1].set_xlim(time_s[0], time_s[-1])
    return _encode_png(figure)


def wave(samples: Float[np.ndarray, " samples"], sample_rate: int, title: str) -> bytes:
    """Plot a wave over time: in each column of the plot, the range of its samples.

    Args:
      samples: the wave, not empty.
      sample_rate: in Hz.
      title: text above the plot.

    Returns:
      The content of a PNG file.
    """
    figure, axes = _import_pyplot().subplots(figsize=(10, 3), layout="constrained")
    starts = np.arange(0, len(samples), -(-len(samples) // _MAX_COLUMNS))
    low, high = (extreme.reduceat(samples, starts) for extreme in (np.minimum, np.maximum))
    axes.fill_between(starts / sample_rate, low, high, linewidth=0.5, edgecolor="face")
    axes.set(xlabel="time (s)", ylabel="amplitude", xlim=(0, len(samples) / sample_rate))
    axes.set_title(title, parse_math=False)
    return _encode_png(figure)


def _draw_spectrogram(
    axes: "Axes", level_db: np.ndarray, frequency_hz: np.ndarray, time_s: np.ndarray, lowest_db: float
) -> None:
    """Draw one spectrogram and its color bar, which reaches from `lowest_db` to 0 dB."""
    group = -(-len(time_s) // _MAX_COLUMNS)
    starts = np.arange(0, len(time_s), group)
    shown = frequency_hz >= min(_LOWEST_HZ, frequency_hz[-1] / 2)
    mesh = axes.pcolormesh(
        time_s[starts], frequency_hz[shown], np.maximum.reduceat(level_db[shown], starts, axis=1), shading="nearest",
        cmap="magma", vmin=lowest_db, vmax=0, rasterized=True,
    )  # fmt: skip
    _set_octave_axis(axes, frequency_hz[shown][0], frequency_hz[-1])
    axes.set_xlabel("time (s)")
    axes.set_ylabel("frequency (Hz)")
    axes.figure.colorbar(mesh, ax=axes, label="level (dB relative to the loudest)", pad=0.01)


def _set_octave_axis(axes: "Axes", lowest_hz: float, highest_hz: float) -> None:
    axes.set_yscale("log")
    axes.set_ylim(lowest_hz, highest_hz)
    axes.set_yticks([hz for hz in _TICKS_HZ if lowest_hz <= hz <= highest_hz])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(_import_ticker().NullLocator())


def _compute_range(curves: Any) -> tuple[float, float]:
    """Compute the limits of the logarithmic frequency axis of a plot of curves.

    Args:
      curves: arrays of frequencies in Hz; values that are not finite are ignored.

    Returns:
      Lowest and highest frequency of the axis in Hz. They include all values with a margin of a factor of 1.2 on both
      sides, and are at least one octave apart.
    """
    finite = np.concatenate([values[np.isfinite(values)] for values in curves])
    low, high = (finite.min(), finite.max()) if len(finite) else (125.0, 500.0)
    return min(low / 1.2, np.sqrt(low * high) / np.sqrt(2)), max(high * 1.2, np.sqrt(low * high) * np.sqrt(2))


def _draw_curve(axes: "Axes", time_s: np.ndarray, values: np.ndarray, name: str) -> None:
    """Draw one curve over time.

    A long curve is divided into groups of adjacent frames. The line shows the mean of each group, and a shaded area its
    range from minimum to maximum.
    """
    group = len(time_s) // _MAX_COLUMNS
    if group < 2:
        axes.plot(time_s, values, label=name, linewidth=1)
        return
    end = len(time_s) // group * group
    groups = values[:end].reshape(-1, group)
    start_s = time_s[:end:group]
    (line,) = axes.plot(start_s, groups.mean(axis=1), label=name, linewidth=1)
    axes.fill_between(start_s, groups.min(axis=1), groups.max(axis=1), color=line.get_color(), alpha=0.3, linewidth=0)


def _import_pyplot() -> Any:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    return plt


def _import_ticker() -> Any:
    import matplotlib.ticker

    return matplotlib.ticker


def _encode_png(figure: Any) -> bytes:
    encoded = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # A title may contain characters that the font lacks.
        figure.savefig(encoded, format="png", dpi=120)
    _import_pyplot().close(figure)
    return encoded.getvalue()
