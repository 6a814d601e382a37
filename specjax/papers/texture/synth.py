"""`specjax synth spectrogram | invert | stream | features`: sound files to spectrograms and back."""

import argparse
import math
from pathlib import Path
from typing import Any

from specjax.cli import app, options, outputs
from specjax.cli.errors import UserError
from specjax.cli.options import Subcommand

PRESETS = "picture, librosa, melodygan, mvnet, wyse or ulyanov"


def _add_spectrogram(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="sound file")
    options.add_output(parser, "spectrogram to write, .png or .npz")
    _add_preset(parser)
    options.add_plot(parser)


def _add_invert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="spectrogram (.png or .npz), or a sound file, whose phases are discarded")
    options.add_output(parser, "sound to write, .wav")
    _add_preset(parser)
    parser.add_argument(
        "--method",
        help="iterative: griffin_lim, fast_griffin_lim or refine (L-BFGS); direct: spsi, pghi, rtpghi or rtisi_la "
        "(default: fast_griffin_lim)",
    )
    parser.add_argument(
        "--start",
        type=options.comma_separated,
        default=["pghi"],
        help="what an iterative method starts from: random, zero, or a method that does not iterate, which iterative "
        "ones may follow, as in --start=pghi,fast_griffin_lim (default: pghi)",
    )
    parser.add_argument("--iterations", type=int, default=32, help="of an iterative method (default: %(default)s)")
    parser.add_argument("--mel_steps", type=int, default=50,
                        help="final steps that match a mel spectrogram itself (default: %(default)s)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="seed of --start=random")
    options.add_plot(parser)


def _add_stream(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="sound file, inverted while it is read")
    options.add_output(parser, "sound to write, .wav")
    _add_preset(parser)
    parser.add_argument("--method", default="rtpghi", help="rtpghi, spsi or rtisi_la (default: %(default)s)")


def _add_features(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="sound file")
    options.add_output(parser, "features to write, .npz")
    parser.add_argument("--sample_rate", type=int, help="resample to this rate first, in Hz")
    options.add_plot(parser)


def _add_preset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", help=f"spectrogram convention where the file states none: {PRESETS}")


def spectrogram(chosen: argparse.Namespace) -> None:
    path = Path(chosen.file)
    out, plot = options.output_file(chosen, ".png", ".npz"), options.plot_file(chosen)
    options.start()
    from specjax.data import spectrograms
    from specjax.papers.texture import inference

    saved = inference.read_spectrogram(path, _preset(chosen))
    outputs.write(out, spectrograms.png(saved) if out.suffix.lower() == ".png" else spectrograms.npz(saved))
    rows, frames = saved.values.shape
    print(f"{path}: {rows} rows, {frames} frames -> {out}")
    if plot:
        outputs.write(plot, inference.plot_spectrogram(saved, path.name))


def invert(chosen: argparse.Namespace) -> None:
    path = Path(chosen.file)
    out, plot = options.output_file(chosen, ".wav"), options.plot_file(chosen)
    options.start()
    from specjax.cli import files
    from specjax.cli.config import to_dataclass
    from specjax.papers.texture import inference
    from specjax.signal.inversion import Inversion

    settings: dict[str, Any] = {
        "start": chosen.start,
        "iterations": chosen.iterations,
        "mel_steps": chosen.mel_steps,
        "seed": chosen.seed,
    }
    if chosen.method is not None:
        settings["method"] = chosen.method
    method = to_dataclass(Inversion, settings, "synth")
    found = inference.invert(path, _preset(chosen), method, report=_report)
    outputs.write(out, files.wav(found.wave, found.sample_rate))
    if math.isnan(found.gain_db):
        level = f"level unknown (the file stores no reference level); peak set to {inference.PEAK}"
    else:
        level = f"level {found.gain_db:+.1f} dB"
    print(
        f"{path}: {len(found.wave) / found.sample_rate:.2f} s at {found.sample_rate} Hz, spectral convergence "
        f"{found.convergence_db:.1f} dB, {level} -> {out}"
    )
    if plot:
        outputs.write(plot, inference.plot_spectrogram(inference.read_spectrogram(out, _preset(chosen)), out.name))


def stream(chosen: argparse.Namespace) -> None:
    path = Path(chosen.file)
    out = options.output_file(chosen, ".wav")
    options.start()
    from specjax.papers.texture import inference, streaming
    from specjax.signal.phase.streaming import METHODS

    if chosen.method not in METHODS:
        raise UserError(f"--method={chosen.method!r} cannot stream: choose {', '.join(METHODS)}")
    preset = _preset(chosen) or inference.get_preset("picture")
    if preset.mel:
        raise UserError(f"--preset={chosen.preset} is a mel spectrogram, which cannot be streamed: choose another")

    def report(seconds: float) -> None:
        options.say(f"{seconds:.0f} s done")

    result = streaming.stream(path, out, preset.transform, chosen.method, report)
    memory = f", memory grew by {result.memory_growth_mb:.1f} MB" if math.isfinite(result.memory_growth_mb) else ""
    clipped = f", {result.clipped} samples clipped" if result.clipped else ""
    print(
        f"{path}: {result.seconds:.1f} s at {result.sample_rate} Hz, latency {result.delay_ms:.0f} ms, "
        f"real-time factor {result.real_time_factor:.3f} (slowest hop {result.slowest_ms:.1f} ms)"
        f"{memory}{clipped} -> {out}"
    )


def features(chosen: argparse.Namespace) -> None:
    path = Path(chosen.file)
    out, plot = options.output_file(chosen, ".npz"), options.plot_file(chosen)
    options.start()
    from specjax.data import spectrograms
    from specjax.papers.texture import inference

    found = inference.extract_features(path, chosen.sample_rate, app.cache_folder("beats"))
    outputs.write(out, spectrograms.archive(found))
    summary = ", ".join(f"{name} {'x'.join(map(str, x.shape)) or f'{x:.6g}'}" for name, x in found.items())
    print(f"{path}: {summary} -> {out}")
    if plot:
        outputs.write(plot, inference.plot_features(found, path.name))


def _preset(chosen: argparse.Namespace) -> Any:
    from specjax.papers.texture import inference

    return None if chosen.preset is None else inference.get_preset(chosen.preset)


def _report(stage: str, done: int, total: int, level_db: float) -> None:
    options.say(f"{stage} {done}/{total}: {level_db:.1f} dB" if done else f"{stage} ...")


SUBCOMMANDS = {
    "spectrogram": Subcommand("Write the spectrogram of a sound.", _add_spectrogram, spectrogram),
    "invert": Subcommand("Reconstruct sound from a spectrogram.", _add_invert, invert),
    "stream": Subcommand("Invert a sound file hop by hop, as a real-time stream would.", _add_stream, stream),
    "features": Subcommand("Extract features of a sound, frame by frame.", _add_features, features),
}
