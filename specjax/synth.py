"""python -m specjax.synth chord --bundle=bundles/unet (--digit=4 | --picture=a.png,b.png) --out=FOLDER
python -m specjax.synth spectrogram in.wav --out=spec.png|spec.npz [--preset=picture] [--plot=plot.png]
python -m specjax.synth invert in.wav|spec.png|spec.npz --out=out.wav [--method=fast_griffin_lim] [--start=pghi]
python -m specjax.synth stream in.wav --out=out.wav [--method=rtpghi|spsi|rtisi_la]
python -m specjax.synth features in.wav --out=features.npz [--plot=features.png]

`chord` paints the chord of each digit and writes its sound (NAME.wav) and spectrogram (NAME.png); `spectrogram` writes
one that `invert` turns back into sound; `stream` inverts while it reads, and says how late and how fast.

Presets: picture, librosa, melodygan, mvnet, wyse, ulyanov.
Methods: griffin_lim, fast_griffin_lim and refine, which take --iterations and begin with --start (random, zero, or one
of the following; after it any of the three, as --start=pghi,fast_griffin_lim); spsi, pghi, rtpghi and rtisi_la.
"""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from specjax import cli, outputs
from specjax.errors import Refusal

POSITIONAL = 2  # what to synthesise, and of which file

BUNDLE = flags.DEFINE_string("bundle", None, "bundle made by specjax.export")
DIGIT = flags.DEFINE_multi_integer("digit", [], "built-in handwritten digit 0 to 9; may be given again")
PICTURE = flags.DEFINE_list("picture", [], "28x28 pictures, ink bright on dark")
FIT = flags.DEFINE_bool("fit", False, "bring pictures of any size or polarity to 28x28 first")
OUT = flags.DEFINE_string("out", None, "file to write; of chords, the folder for sounds and spectrograms (out)")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace files that are there already")
QUALITY = flags.DEFINE_string("quality", None, "chord quality, among those the bundle was trained on")
OCTAVE = flags.DEFINE_integer("octave", 3, "octaves above the paper's pitch, where a digit's chord starts at 28 Hz")
DURATION = flags.DEFINE_float("duration", 1.0, "length of the sound, in seconds")
SAMPLE_RATE = flags.DEFINE_integer("sample_rate", 44100, "in Hz")
EXACT = flags.DEFINE_bool("exact", True, "exact ratios; --noexact sounds the paper's whole hertz")
OFFSET = flags.DEFINE_float("offset_hz", 0.0, "added to the frequency of rows that are not of the chord")
SEED = flags.DEFINE_integer("seed", 0, "of the random phases")
PRESET = flags.DEFINE_string("preset", None, "convention of a spectrogram that does not say its own")
METHOD = flags.DEFINE_string("method", None, "how phases are found")
START = flags.DEFINE_list("start", ["pghi"], "what an iterative method begins with; several go one after the other")
ITERATIONS = flags.DEFINE_integer("iterations", 32, "of an iterative method")
MEL_STEPS = flags.DEFINE_integer("mel_steps", 50, "last steps, towards a mel spectrogram itself")
PLOT = flags.DEFINE_string("plot", None, "also draw, with axes, into this PNG")


# Which flags are for what; --out and --overwrite are for all.
FLAGS_OF = {
    "chord": ("bundle", "digit", "picture", "fit", "quality", "octave", "duration", "sample_rate", "exact", "offset_hz",
              "seed"),
    "spectrogram": ("preset", "plot"),
    "invert": ("preset", "method", "start", "iterations", "mel_steps", "seed", "plot"),
    "stream": ("preset", "method"),
    "features": ("sample_rate", "plot"),
}  # fmt: skip


def main(argv: Sequence[str]) -> None:
    does = {"chord": _chord, "spectrogram": _spectrogram, "invert": _invert, "stream": _stream, "features": _features}
    if len(argv) < 2 or argv[1] not in does:
        raise Refusal(f"synth what? Say: specjax synth {{{','.join(does)}}} ...")
    what = argv[1]
    if what == "chord" and len(argv) > 2:
        raise Refusal(f"{argv[2]!r} is not understood: name pictures by --picture={argv[2]}")
    if what != "chord" and len(argv) < 3:
        raise Refusal(f"{what} of what? Say: specjax synth {what} FILE --out=...")
    for other in {name for names in FLAGS_OF.values() for name in names} - set(FLAGS_OF[what]):
        if flags.FLAGS[other].present:
            known = ", ".join(f"--{name}" for name in (*FLAGS_OF[what], "out", "overwrite"))
            raise Refusal(f"--{other} means nothing to {what}, which knows {known}")
    does[what](Path(argv[2]) if len(argv) > 2 else Path())


def _chord(_: Path) -> None:
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
    if wrong := [d for d in DIGIT.value if not 0 <= d <= 9]:
        raise Refusal(f"--digit={wrong[0]} is not a digit 0 to 9")
    _start()
    from specjax import chords, files

    digits = (
        chords.built_in(DIGIT.value) if DIGIT.value else chords.of_pictures(list(map(Path, PICTURE.value)), FIT.value)
    )
    names = [f"{name}.{kind}" for name in digits for kind in ("wav", "png")]
    paths = outputs.claim(Path(OUT.value or "out"), names, overwrite=OVERWRITE.value)
    task, params = chords.open_bundle(Path(BUNDLE.value))
    for played in chords.play(task, params, digits, QUALITY.value, sound):
        wav, png = paths[f"{played.name}.wav"], paths[f"{played.name}.png"]
        outputs.write(wav, files.wav(played.wave, sound.sample_rate))
        outputs.write(png, files.png(played.shown))
        print(f"{played.name}: {played.chord} -> {wav} {png}")


def _spectrogram(path: Path) -> None:
    out, plot = _output(path, ".png", ".npz"), _plot(path)
    _start()
    from specjax import sounds
    from specjax.data import spectrograms

    saved = sounds.read_spectrogram(path, _preset())
    outputs.write(out, spectrograms.png(saved) if out.suffix.lower() == ".png" else spectrograms.npz(saved))
    rows, frames = saved.values.shape
    print(f"{path}: {rows} rows, {frames} frames -> {out}")
    if plot:
        outputs.write(plot, sounds.plotted(saved, path.name))


def _invert(path: Path) -> None:
    out, plot = _output(path, ".wav"), _plot(path)
    _start()
    from specjax import files, sounds
    from specjax.config import to_dataclass
    from specjax.signal.inversion import Inversion

    asked = {"start": START.value, "iterations": ITERATIONS.value, "mel_steps": MEL_STEPS.value, "seed": SEED.value}
    if METHOD.value is not None:
        asked["method"] = METHOD.value
    how = to_dataclass(Inversion, asked, "synth")
    found = sounds.invert(path, _preset(), how, report=_progress)
    outputs.write(out, files.wav(found.wave, found.sample_rate))
    level = "how loud it was is not told" if math.isnan(found.gain_db) else f"level {found.gain_db:+.1f} dB"
    print(
        f"{path}: {len(found.wave) / found.sample_rate:.2f} s at {found.sample_rate} Hz, spectral convergence "
        f"{found.convergence_db:.1f} dB, {level} -> {out}"
    )
    if plot:
        outputs.write(plot, sounds.plotted(sounds.read_spectrogram(out, _preset()), out.name))


def _stream(path: Path) -> None:
    out = _output(path, ".wav")
    _start()
    from specjax import sounds, streams
    from specjax.signal.phase import streaming

    method = METHOD.value or "rtpghi"
    if method not in streaming.METHODS:
        raise Refusal(f"--method={method!r}: streams know {', '.join(streaming.METHODS)}")
    preset = _preset() or sounds.preset_named("picture")
    if preset.mel:
        raise Refusal(f"--preset={PRESET.value}: streams are of the bins themselves, not of mel filters")
    done = streams.stream(path, out, preset.transform, method, lambda seconds: _say(f"{seconds:.0f} s done"))
    grown = f", memory grew by {done.memory_growth_mb:.1f} MB" if math.isfinite(done.memory_growth_mb) else ""
    clipped = f", {done.clipped} samples clipped" if done.clipped else ""
    print(
        f"{path}: {done.seconds:.1f} s at {done.sample_rate} Hz, {done.delay_ms:.0f} ms late, "
        f"{done.real_time_factor:.3f} of real time (slowest hop {done.slowest_ms:.1f} ms){grown}{clipped} -> {out}"
    )


def _features(path: Path) -> None:
    out, plot = _output(path, ".npz"), _plot(path)
    _start()
    from specjax import sounds
    from specjax.data import spectrograms

    rate = SAMPLE_RATE.value if flags.FLAGS["sample_rate"].present else None
    found = sounds.all_features(path, rate, cli.cache_folder("beats"))
    outputs.write(out, spectrograms.archive(found))
    told = ", ".join(f"{name} {'x'.join(map(str, x.shape)) or f'{x:.6g}'}" for name, x in found.items())
    print(f"{path}: {told} -> {out}")
    if plot:
        outputs.write(plot, sounds.features_plotted(found, path.name))


def _preset() -> Any:
    from specjax import sounds

    return None if PRESET.value is None else sounds.preset_named(PRESET.value)


def _start() -> None:
    _say("specjax synth: starting")
    cli.leave_promptly()
    cli.use_compilation_cache()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _progress(stage: str, done: int, total: int, level_db: float) -> None:
    if done:
        _say(f"{stage} {done}/{total}: {level_db:.1f} dB")
    else:
        _say(f"{stage} ...")


def _output(of: Path, *suffixes: str) -> Path:
    """The file to write, known to be writable and free, before any work is done."""
    if OUT.value is None:
        raise Refusal(f"--out is missing: name a file that ends in {' or '.join(suffixes)}")
    out = outputs.claim_file(Path(OUT.value), suffixes, overwrite=OVERWRITE.value)
    if out.exists() and of.exists() and out.samefile(of):
        raise Refusal(f"--out={out} is the file that is read: name another")
    return out


def _plot(of: Path) -> Path | None:
    if PLOT.value is None:
        return None
    cli.need("matplotlib", "--plot", extra="plots")
    plot = outputs.claim_file(Path(PLOT.value), (".png",), overwrite=OVERWRITE.value, flag="--plot")
    if plot.absolute() in (Path(OUT.value or "").absolute(), of.absolute()):
        raise Refusal(f"--plot={plot} is the file that is read, or --out: name another")
    return plot


if __name__ == "__main__":
    cli.run(main)
