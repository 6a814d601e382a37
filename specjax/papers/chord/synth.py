"""Subcommand `specjax synth chord`: turn digits into the sounds of chords with a trained network."""

import argparse
import math

from specjax.cli import options, outputs
from specjax.cli.errors import UserError
from specjax.cli.options import Subcommand
from specjax.cli.paths import local_path


def add_options(parser: argparse.ArgumentParser) -> None:
    options.add_bundle(parser, "U-Net", default="unet")
    digits = parser.add_mutually_exclusive_group(required=True)
    digits.add_argument("--digit", type=int, action="append", help="built-in handwritten digit, 0 to 9; repeatable")
    digits.add_argument("--picture", type=options.paths, help="28x28 pictures, bright ink on dark: a.png,b.png")
    parser.add_argument(
        "--fit",
        action="store_true",
        help="turn drawings and photos of digits, of any size and in any light, into such pictures first",
    )
    options.add_output(parser, "folder for NAME.wav and NAME.png of every digit (default: out)", default="out")
    parser.add_argument("--quality", help="chord quality, one that the bundle was trained on; by default its first")
    parser.add_argument("--octave", type=int, default=3, help="octaves above the paper's pitch (default: %(default)s)")
    parser.add_argument("--duration", type=float, default=1.0, help="length of the sound, in s (default: %(default)s)")
    parser.add_argument("--sample_rate", type=int, default=44100, help="in Hz (default: %(default)s)")
    parser.add_argument("--noexact", dest="exact", action="store_false",
                        help="play the paper's whole hertz instead of exact frequency ratios")  # fmt: skip
    parser.add_argument("--offset_hz", type=float, default=0.0, help="shift of the rows outside the chord, in Hz")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random phases")


def run(chosen: argparse.Namespace) -> None:
    """Run `specjax synth chord`: predict the chord of each digit, and write its sound and its spectrogram to files."""
    from specjax.cli.config import to_dataclass
    from specjax.papers.chord.sound import SoundConfig

    settings = {
        "sample_rate": chosen.sample_rate,
        "duration_s": chosen.duration,
        "octave": chosen.octave,
        "exact": chosen.exact,
        "offset_hz": chosen.offset_hz,
        "seed": chosen.seed,
    }
    sound = to_dataclass(SoundConfig, settings, "synth")
    if wrong := [digit for digit in chosen.digit or () if not 0 <= digit <= 9]:
        raise UserError(f"--digit={wrong[0]} is not a digit 0 to 9")
    bundle, out = local_path(chosen.bundle, "--bundle"), local_path(chosen.out, "--out")
    pictures = [local_path(name, "--picture", "file") for name in chosen.picture or ()]
    options.start()
    from specjax import papers
    from specjax.cli import files
    from specjax.papers.chord import inference

    digits = inference.builtin_digits(chosen.digit) if chosen.digit else inference.read_digits(pictures, chosen.fit)
    names = [f"{name}.{suffix}" for name in digits for suffix in ("wav", "png")]
    paths = outputs.claim(out, names, overwrite=chosen.overwrite)
    network, params = papers.open_bundle(bundle, task="chord/unet")
    for chord in inference.synthesize(network, params, digits, chosen.quality, sound):
        wav, png = paths[f"{chord.name}.wav"], paths[f"{chord.name}.png"]
        outputs.write(wav, files.wav(chord.wave, sound.sample_rate))
        outputs.write(png, files.png(chord.picture))
        confidence = f"{math.floor(100 * chord.confidence)}%"
        print(f"{chord.name}: {chord.label} ({confidence}), {chord.chord} -> {wav} {png}")


SUBCOMMANDS = {"chord": Subcommand("Play the chords of handwritten digits.", add_options, run)}
