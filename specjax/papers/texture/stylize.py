"""Style transfer between sound files: reading files, creating a method from its settings, and plotting spectrograms."""

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.cli.config import to_dataclass
from specjax.cli.errors import UserError
from specjax.data.audio import read_channels
from specjax.data.sound_file import SoundFile
from specjax.papers.texture.inference import PEAK
from specjax.papers.texture.representation import Representation
from specjax.papers.texture.style.image import Image
from specjax.papers.texture.style.method import Method
from specjax.papers.texture.style.transfer import StepReport, transfer
from specjax.papers.texture.style.ulyanov import Ulyanov
from specjax.papers.texture.style.waveform import Waveform
from specjax.papers.texture.style.wyse import Wyse
from specjax.plots import render

METHODS: dict[str, type] = {"waveform": Waveform, "wyse": Wyse, "ulyanov": Ulyanov, "image": Image}
# Fields of the methods that are options of the command line, by the name of the option.
OPTIONS = {
    "iterations": "steps",
    "optimizer": "algorithm",
    **{name: name for name in ("content_weight", "style_weight", "layers", "noise", "filters", "seed")},
}
# Panels of Figure 1 of the paper: whether the weights are trained, and the weight of the noise in the starting point.
FIGURE_1 = {
    "trained_weights": (True, 0.0),
    "random_weights": (False, 0.0),
    "trained_weights_noise": (True, 0.5),
    "random_weights_noise": (False, 0.5),
}
Channels = Float[np.ndarray, "channels samples"]


class Stylized(NamedTuple):
    """Result of a style transfer between two files.

    Attributes:
      wave: result with the duration, loudness and channels of the content. If it would clip, its peak is reduced to
        0.9.
      sample_rate: in Hz.
      gain_db: gain by which the wave was reduced, at most 0.
      interrupted: whether Ctrl-C ended the optimization early.
      loss_left: final loss, as a fraction of the loss at the start.
    """

    wave: Channels
    sample_rate: int
    gain_db: float
    interrupted: bool
    loss_left: float


def make_method(name: str, settings: Mapping[str, Any], network: Any = None) -> Method:
    """Create a method of style transfer.

    Args:
      name: key of `METHODS`.
      settings: values of some fields of the method, by name; other fields have their default values.
      network: parameters of the network of the methods `wyse` (None: random) and `image`.

    Raises:
      UserError: the method is unknown, does not have a setting, or a value is out of range.
    """
    if name not in METHODS:
        raise UserError(f"--method={name!r} is unknown: choose one of {', '.join(METHODS)}")
    method = METHODS[name]
    known = {field.name for field in fields(method)}
    if unknown := sorted(set(settings) - known):
        options = ", ".join(f"--{option}" for option, field in OPTIONS.items() if field in known)
        option = next((option for option, field in OPTIONS.items() if field == unknown[0]), unknown[0])
        raise UserError(f"--{option} has no effect in the method {name}, whose options are {options}")
    if name == "image" and network is None:
        raise UserError("--method=image needs the weights of VGG-19: name a safetensors file with --weights")
    made: Any = to_dataclass(method, settings, "style")
    return made if network is None else replace(made, params=network)


def stylize(content: Path, style: Path, method: Method, report: StepReport | None = None) -> Stylized:
    """Transfer the texture of one sound file to another.

    Args:
      content: sound file, mono or stereo, of any sample rate; at most 600 s.
      style: sound file of any sample rate; its channels are mixed. It is read in pieces.
      method: method of style transfer.
      report: progress callback.

    Raises:
      UserError: a file cannot be used, is silent, or is too short for the method.
    """
    wave, rate = read_channels(content, method.sample_rate)
    try:
        result = transfer(wave[None], [SoundFile(style, rate)], method, report=report)
    except ValueError as error:
        raise UserError(f"{content}, {style}: {error}") from error
    left = float(np.mean(result.history[-1] / result.history[0]))
    peak = float(np.abs(result.waves).max())
    gain = PEAK / peak if peak > 1 else 1.0
    return Stylized(gain * result.waves[0], rate, 20 * math.log10(gain), result.interrupted, left)


def draw_panels(waves: Mapping[str, Float[np.ndarray, " samples"]], sample_rate: int) -> render.Rgb:
    """Draw the spectrograms of sounds in two columns, as in the paper, with a range of 80 dB below the maximum.

    Args:
      waves: mono waves by title.
      sample_rate: of all waves, in Hz.
    """
    settings = Representation(sample_rate=sample_rate)
    panels = []
    for title, wave in waves.items():
        levels = np.asarray(settings.encode(jnp.asarray(wave)))[::-1]
        duration_s, row_hz = len(wave) / sample_rate, sample_rate / settings.n_fft
        panels.append(render.spectrogram(levels, row_hz=row_hz, duration_s=duration_s, title=title, size=(420, 260)))
    if len(panels) % 2:
        panels.append(np.full_like(panels[0], 255))
    rows = [np.concatenate(panels[i : i + 2], axis=1) for i in range(0, len(panels), 2)]
    return np.concatenate(rows)


def draw_result(content: Path, style: Path, result: Stylized) -> render.Rgb:
    """Draw the spectrograms of content, style and result; the style is cut to the duration of the content.

    Raises:
      UserError: a file cannot be used.
    """
    rate, samples = result.sample_rate, result.wave.shape[-1]
    begin, missing = [], samples
    for block in SoundFile(style, rate):
        begin.append(block[:missing])
        missing -= len(begin[-1])
        if not missing:
            break
    waves = {
        f"content: {content.name}": read_channels(content, rate)[0].mean(axis=0),
        f"style: {style.name}": np.pad(np.concatenate(begin), (0, missing)),
        "result": result.wave.mean(axis=0),
    }
    return draw_panels(waves, rate)
