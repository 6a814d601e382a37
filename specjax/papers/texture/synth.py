"""Subcommands of `specjax synth` for sounds: `spectrogram`, `invert`, `stream`, `features` and those of networks."""

import argparse
import math
from typing import Any

from specjax.cli import app, options, outputs
from specjax.cli.errors import UserError
from specjax.cli.options import Subcommand
from specjax.papers.texture import synth_networks as networks

PRESETS = "picture, librosa, melodygan, mvnet, wyse or ulyanov"
_LAYOUTS = {1: "mono", 2: "stereo"}


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
        help="iterative: griffin_lim, fast_griffin_lim, accelerated_griffin_lim, subset_griffin_lim, admm or refine "
        "(L-BFGS); direct: spsi, pghi, rtpghi or rtisi_la (default: subset_griffin_lim)",
    )
    parser.add_argument(
        "--start",
        type=options.comma_separated,
        default=["pghi"],
        help="what an iterative method starts from: random, zero or a direct method, and after it any iterative "
        "methods, as in --start=pghi,fast_griffin_lim (default: pghi)",
    )
    parser.add_argument(
        "--iterations", type=int, default=32, help="iterations of an iterative method (default: %(default)s)"
    )
    parser.add_argument("--mel_steps", type=int, default=50,
                        help="final steps that match the mel spectrogram itself (default: %(default)s)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="random seed of --start=random")
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


def spectrogram(args: argparse.Namespace) -> None:
    """Run `specjax synth spectrogram`: compute the spectrogram of a sound file and write it to a file."""
    path = options.input_file(args)
    out, plot = options.output_file(args, ".png", ".npz"), options.plot_file(args)
    options.start()
    from specjax.data import spectrograms
    from specjax.papers.texture import inference

    saved = inference.read_spectrogram(path, _preset(args))
    outputs.write(out, spectrograms.png(saved) if out.suffix.lower() == ".png" else spectrograms.npz(saved))
    channels, rows, frames = saved.values.shape
    print(f"{path}: {_LAYOUTS[channels]}, {rows} rows, {frames} frames -> {out}")
    if plot:
        outputs.write(plot, inference.plot_spectrogram(saved, path.name))


def invert(args: argparse.Namespace) -> None:
    """Run `specjax synth invert`: reconstruct sound from a spectrogram file or sound file, and write it to a file."""
    path = options.input_file(args)
    out, plot = options.output_file(args, ".wav"), options.plot_file(args)
    options.start()
    from specjax.cli import files
    from specjax.cli.config import to_dataclass
    from specjax.papers.texture import inference
    from specjax.signal.inversion import Inversion

    settings: dict[str, Any] = {
        "start": args.start,
        "iterations": args.iterations,
        "mel_steps": args.mel_steps,
        "seed": args.seed,
    }
    if args.method is not None:
        settings["method"] = args.method
    inversion = to_dataclass(Inversion, settings, "synth")
    result = inference.invert(path, _preset(args), inversion, report=_report)
    outputs.write(out, files.wav(result.wave, result.sample_rate))
    if math.isnan(result.gain_db):
        level = f"level unknown (the file stores no reference level); peak set to {inference.PEAK}"
    else:
        level = f"level {result.gain_db:+.1f} dB"
    channels, samples = result.wave.shape
    print(
        f"{path}: {samples / result.sample_rate:.2f} s at {result.sample_rate} Hz, {_LAYOUTS[channels]}, "
        f"spectral convergence {result.convergence_db:.1f} dB, {level} -> {out}"
    )
    if plot:
        outputs.write(plot, inference.plot_spectrogram(inference.read_spectrogram(out, _preset(args)), out.name))


def stream(args: argparse.Namespace) -> None:
    """Run `specjax synth stream`: invert a sound file hop by hop, and print latency and speed."""
    path = options.input_file(args)
    out = options.output_file(args, ".wav")
    options.start()
    from specjax.papers.texture import inference, streaming
    from specjax.signal.phase.streaming import METHODS

    if args.method not in METHODS:
        raise UserError(f"--method={args.method!r} cannot stream: choose {', '.join(METHODS)}")
    preset = _preset(args) or inference.get_preset("picture")
    if preset.mel:
        raise UserError(f"--preset={args.preset} is a mel spectrogram, which cannot be streamed: choose another")

    def report(seconds: float) -> None:
        options.say(f"{seconds:.0f} s done")

    result = streaming.stream(path, out, preset.transform, args.method, report)
    memory = f", memory grew by {result.memory_growth_mb:.1f} MB" if math.isfinite(result.memory_growth_mb) else ""
    clipped = f", {result.clipped} samples clipped" if result.clipped else ""
    print(
        f"{path}: {result.duration_s:.1f} s at {result.sample_rate} Hz, {_LAYOUTS[result.channels]}, "
        f"latency {result.latency_ms:.0f} ms, real-time factor {result.real_time_factor:.3f} "
        f"(slowest hop {result.slowest_ms:.1f} ms)"
        f"{memory}{clipped} -> {out}"
    )


def features(args: argparse.Namespace) -> None:
    """Run `specjax synth features`: compute the features of a sound file and write them to a file."""
    path = options.input_file(args)
    out, plot = options.output_file(args, ".npz"), options.plot_file(args)
    options.start()
    from specjax.data import spectrograms
    from specjax.papers.texture import inference

    values = inference.extract_features(path, args.sample_rate, app.cache_folder("beats"))
    outputs.write(out, spectrograms.archive(values))
    summary = ", ".join(f"{name} {'x'.join(map(str, x.shape)) or f'{x:.6g}'}" for name, x in values.items())
    print(f"{path}: {summary} -> {out}")
    if plot:
        outputs.write(plot, inference.plot_features(values, path.name))


def _preset(args: argparse.Namespace) -> Any:
    """Return the spectrogram preset that `--preset` names, or None if the option is not given."""
    from specjax.papers.texture import inference

    return None if args.preset is None else inference.get_preset(args.preset)


def _report(method: str, done: int, total: int, convergence_db: float) -> None:
    """Print the progress of an inversion: its method, iterations done of the total, and spectral convergence in dB."""
    options.say(f"{method} {done}/{total}: {convergence_db:.1f} dB" if done else f"{method} ...")


SUBCOMMANDS = {
    **networks.SUBCOMMANDS,
    "spectrogram": Subcommand("Write the spectrogram of a sound.", _add_spectrogram, spectrogram),
    "invert": Subcommand("Reconstruct sound from a spectrogram.", _add_invert, invert),
    "stream": Subcommand("Invert a sound file hop by hop, as a real-time stream would.", _add_stream, stream),
    "features": Subcommand("Extract features of a sound, frame by frame.", _add_features, features),
}
