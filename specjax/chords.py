"""Digits to chords one can see and hear, by a trained bundle."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from specjax.chord.config import ChordConfig
from specjax.chord.synth import SoundConfig
from specjax.chord.task import ChordTask
from specjax.config import to_dataclass
from specjax.data import gate
from specjax.data.digits import DigitsConfig, fit_digit, load
from specjax.engine import bundle
from specjax.errors import Refusal
from specjax.image import render

Digit = UInt8[np.ndarray, "28 28"]


class Played(NamedTuple):
    """A digit's chord: what it is called, how it sounds, and its spectrogram with axes."""

    name: str
    chord: str
    wave: Float[np.ndarray, " samples"]
    shown: render.Rgb


def open_bundle(folder: Path) -> tuple[ChordTask, Any]:
    """Task and parameters of a chord bundle.

    Raises:
      Refusal: damaged, foreign, or of another wing.
    """
    opened = bundle.load(folder)
    if opened.wing != "chord" or set(opened.parts) != {"unet"}:
        raise Refusal(f"{folder} is a {opened.wing!r} bundle of {sorted(opened.parts)}, expected a chord bundle")
    part = opened.parts["unet"]
    task = ChordTask(to_dataclass(ChordConfig, part.card, f"{folder}: config"))
    abstract = jax.eval_shape(lambda key: task.painter(task.init(key)), jax.random.key(0))
    return task, bundle.fit(part, abstract, str(folder))


def built_in(digits: Sequence[int]) -> dict[str, Digit]:
    """A held-out handwritten digit for each of `digits`, by name."""
    _, held_out = load(DigitsConfig())
    return {f"digit_{d}": held_out.image[int(np.flatnonzero(held_out.label == d)[0])] for d in digits}


def of_pictures(paths: Sequence[Path], fit: bool) -> dict[str, Digit]:
    """Digits in picture files, by their names; `fit` brings any size or polarity to 28 x 28 first.

    Raises:
      Refusal: a picture is refused by its gate, or two have one name.
    """
    found: dict[str, Digit] = {}
    for path in paths:
        picture = gate.read_picture(path)
        if path.stem in found:
            raise Refusal(f"two pictures are named {path.stem}: their outputs would have one name")
        found[path.stem] = fit_digit(picture, path) if fit else gate.check_digits(picture[None], path)[0]
    return found


def play(
    task: ChordTask, params: Any, digits: Mapping[str, Digit], quality: str | None, sound: SoundConfig
) -> Iterator[Played]:
    """The chord of each digit, in the quality asked for or else the bundle's first.

    Raises:
      Refusal: the bundle was not trained on that quality.
    """
    stack = jnp.asarray(np.stack(list(digits.values())), jnp.float32) / 255.0
    wanted = jnp.full((len(digits),), _index(quality, task.config.qualities), jnp.int32)
    pictures = jax.jit(task.paint)(params, stack, wanted)
    for name, picture in zip(digits, np.asarray(pictures), strict=True):
        label, heard = task.read_chord(jnp.asarray(picture))
        chord = task.chord_name(label, heard).replace("_", " ")
        shown = render.spectrogram(
            picture,
            duration_s=sound.duration_s,
            row_hz=2.0**sound.octave,
            rows=(0, max(task.config.conditioning.size // 10, 28)),
            title=f"{name}: {chord}, {sound.octave} octaves up",
        )
        yield Played(name, chord, task.sound(jnp.asarray(picture), sound), shown)


def _index(quality: str | None, qualities: Sequence[str]) -> int:
    if quality is None:
        return 0
    if quality not in qualities:
        raise Refusal(f"--quality={quality!r}: this bundle plays {', '.join(qualities)}")
    return qualities.index(quality)
