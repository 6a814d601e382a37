"""python -m specjax.synth chord --bundle=bundles/unet (--digit=4 | --picture=a.png,b.png) --out=FOLDER

Paints the chord of each digit and writes its sound (NAME.wav) and spectrogram (NAME.png).
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from specjax import cli
from specjax.errors import Refusal

POSITIONAL = 1  # what to synthesise

BUNDLE = flags.DEFINE_string("bundle", None, "bundle made by specjax.export")
DIGIT = flags.DEFINE_multi_integer("digit", [], "built-in handwritten digit 0 to 9; may be given again")
PICTURE = flags.DEFINE_list("picture", [], "28x28 pictures, ink bright on dark")
FIT = flags.DEFINE_bool("fit", False, "bring pictures of any size or polarity to 28x28 first")
OUT = flags.DEFINE_string("out", "out", "folder for the sounds and spectrograms")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace files of the same name in --out")
QUALITY = flags.DEFINE_string("quality", None, "chord quality, among those the bundle was trained on")
OCTAVE = flags.DEFINE_integer("octave", 3, "octaves above the paper's pitch, where a digit's chord starts at 28 Hz")
DURATION = flags.DEFINE_float("duration", 1.0, "length of the sound, in seconds")
SAMPLE_RATE = flags.DEFINE_integer("sample_rate", 44100, "in Hz")
EXACT = flags.DEFINE_bool("exact", True, "exact ratios; --noexact sounds the paper's whole hertz")
OFFSET = flags.DEFINE_float("offset_hz", 0.0, "added to the frequency of rows that are not of the chord")
SEED = flags.DEFINE_integer("seed", 0, "of the random phases")


def main(argv: Sequence[str]) -> None:
    kinds = {"chord": _chord}
    if len(argv) != 2 or argv[1] not in kinds:
        raise Refusal(f"synth what? Say: specjax synth {{{','.join(kinds)}}} ...")
    kinds[argv[1]]()


def _chord() -> None:
    if BUNDLE.value is None:
        raise Refusal("--bundle is missing: name a bundle made by specjax.export")
    if bool(DIGIT.value) == bool(PICTURE.value):
        raise Refusal("give either --digit=4 or --picture=mine.png")
    from specjax.chord.synth import SoundConfig
    from specjax.config import to_dataclass

    asked = {
        "sample_rate": SAMPLE_RATE.value,
        "duration_s": DURATION.value,
        "octave": OCTAVE.value,
        "exact": EXACT.value,
        "offset_hz": OFFSET.value,
        "seed": SEED.value,
    }
    sound = to_dataclass(SoundConfig, asked, "synth")
    digits = _digits()
    outputs = _claim(Path(OUT.value), [f"{name}.{kind}" for name in digits for kind in ("wav", "png")])
    print("specjax synth: starting", file=sys.stderr, flush=True)

    import jax
    import jax.numpy as jnp

    from specjax.engine import files
    from specjax.image import render

    task, params = open_chord_bundle(Path(BUNDLE.value))
    quality = _quality_index(task.config.qualities)
    stack = jnp.asarray(np.stack(list(digits.values())), jnp.float32) / 255.0
    pictures = jax.jit(task.paint)(params, stack, jnp.full((len(digits),), quality, jnp.int32))
    for name, picture in zip(digits, np.asarray(pictures), strict=True):
        label, heard = task.read_chord(jnp.asarray(picture))
        chord = task.chord_name(label, heard).replace("_", " ")
        wave = task.sound(jnp.asarray(picture), sound)
        shown = render.spectrogram(
            picture,
            duration_s=sound.duration_s,
            row_hz=2.0**sound.octave,
            rows=(0, max(task.config.conditioning.size // 10, 28)),
            title=f"{name}: {chord}, {sound.octave} octaves up",
        )
        _write(outputs[f"{name}.wav"], files.wav(wave, sound.sample_rate))
        _write(outputs[f"{name}.png"], files.png(shown))
        print(f"{name}: {chord} -> {outputs[f'{name}.wav']} {outputs[f'{name}.png']}")


def open_chord_bundle(folder: Path) -> tuple[Any, Any]:
    """Task and parameters of a chord bundle.

    Raises:
      Refusal: damaged, foreign, or of another wing.
    """
    import jax

    from specjax.chord.config import ChordConfig
    from specjax.chord.task import ChordTask
    from specjax.config import to_dataclass
    from specjax.engine import bundle

    opened = bundle.load(folder)
    if opened.wing != "chord" or set(opened.parts) != {"unet"}:
        raise Refusal(f"{folder} is a {opened.wing!r} bundle of {sorted(opened.parts)}, expected a chord bundle")
    part = opened.parts["unet"]
    task = ChordTask(to_dataclass(ChordConfig, part.card, f"{folder}: config"))
    abstract = jax.eval_shape(lambda key: task.painter(task.init(key)), jax.random.key(0))
    return task, bundle.fit(part, abstract, str(folder))


def _digits() -> dict[str, np.ndarray]:
    """Grey pictures by name, 28x28."""
    from specjax.data import gate
    from specjax.data.digits import DigitsConfig, fit_digit, load

    if DIGIT.value:
        if wrong := [d for d in DIGIT.value if not 0 <= d <= 9]:
            raise Refusal(f"--digit={wrong[0]} is not a digit 0 to 9")
        _, held_out = load(DigitsConfig())
        return {f"digit_{d}": held_out.image[int(np.flatnonzero(held_out.label == d)[0])] for d in DIGIT.value}
    found = {}
    for path in map(Path, PICTURE.value):
        picture = gate.read_picture(path)
        if path.stem in found:
            raise Refusal(f"two pictures are named {path.stem}: their outputs would have one name")
        found[path.stem] = fit_digit(picture, path) if FIT.value else gate.check_digits(picture[None], path)[0]
    return found


def _quality_index(qualities: Sequence[str]) -> int:
    if QUALITY.value is None:
        return 0
    if QUALITY.value not in qualities:
        raise Refusal(f"--quality={QUALITY.value!r}: this bundle plays {', '.join(qualities)}")
    return qualities.index(QUALITY.value)


def _claim(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Paths of the outputs, known to be writable and free, before any work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(f"--out={folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refusal(f"--out={folder} cannot be written: change its permissions or choose another")
    outputs = {name: folder / name for name in names}
    if taken := [path for path in outputs.values() if path.exists() and not OVERWRITE.value]:
        raise Refusal(f"{taken[0]} exists already: choose another --out, or --overwrite")
    return outputs


def _write(path: Path, content: bytes) -> None:
    from specjax.engine import files

    try:
        files.write_whole(path, content)
    except OSError as error:
        raise Refusal(f"{path} cannot be written: {error.strerror or error}") from error


if __name__ == "__main__":
    cli.run(main)
