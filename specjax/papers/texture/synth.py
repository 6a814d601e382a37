"""Subcommands of `specjax synth` for sounds: style transfer, classification, spectrograms, inversion and features."""

import argparse
import math
from pathlib import Path
from typing import Any

from specjax.cli import app, options, outputs
from specjax.cli.errors import UserError
from specjax.cli.options import Subcommand
from specjax.cli.paths import local_path
from specjax.data.readers import check_regular_file

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


def _add_classify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="sound file")
    parser.add_argument("--bundle", required=True, help="folder of a classifier, written by specjax export")
    parser.add_argument("--top", type=int, default=5, help="number of classes to print (default: %(default)s)")


def _add_pair(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--content", dest="file", required=True, help="sound file whose events are kept")
    parser.add_argument("--style", required=True, help="sound file whose texture is taken")
    parser.add_argument("--bundle", help="classifier whose weights the form wyse uses, written by specjax export")
    parser.add_argument("--iterations", type=int, help="optimizer steps (default: that of the form)")
    parser.add_argument("--content_weight", type=float, help="weight of the content")
    parser.add_argument("--style_weight", type=float, help="weight of the style (forms wyse and image)")
    parser.add_argument(
        "--layers",
        type=options.comma_separated,
        help="layers that describe the style: conv1,conv2 of wyse, conv1_1 to conv5_1 of image",
    )
    parser.add_argument("--optimizer", help="adam or lbfgs (form wyse; the others use lbfgs)")
    parser.add_argument("--filters", type=int, help="number of random filters")
    parser.add_argument("--seed", type=int, help="random seed of filters and noise (default: 0)")


def _add_style(parser: argparse.ArgumentParser) -> None:
    _add_pair(parser)
    options.add_output(parser, "sound to write, .wav")
    parser.add_argument(
        "--form",
        default="waveform",
        help="waveform (optimizes the wave itself), wyse, ulyanov or image (VGG-19) (default: %(default)s)",
    )
    parser.add_argument("--noise", type=float, help="weight of the noise in the starting point, 0 to 1 (form wyse)")
    parser.add_argument("--weights", help="weights of VGG-19 (form image), .safetensors")
    options.add_plot(parser)


def _add_panels(parser: argparse.ArgumentParser) -> None:
    _add_pair(parser)
    options.add_output(parser, "folder to write")


def _add_sounds(parser: argparse.ArgumentParser) -> None:
    options.add_output(parser, "folder to write")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")


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


def classify(args: argparse.Namespace) -> None:
    """Run `specjax synth classify`: print the most probable classes of a sound file with their probabilities."""
    path = options.input_file(args)
    if args.top < 1:
        raise UserError(f"--top={args.top} must be at least 1")
    options.start()
    from specjax import papers
    from specjax.papers.texture.classify import classify

    inference, variables = papers.open_bundle(local_path(args.bundle, "--bundle"), "texture/classifier")
    for guess in classify(inference, variables, path, args.top):
        print(f"{guess.probability:6.1%} {guess.class_name}")


def sounds(args: argparse.Namespace) -> None:
    """Run `specjax synth sounds`: write one synthetic environmental sound of each class to a folder."""
    _check_seed(args.seed)
    options.start()
    import jax
    import jax.numpy as jnp
    import numpy as np

    from specjax.cli import files
    from specjax.papers.texture.sounds import CLASSES, synthesize

    names = [f"{name}.wav" for name in CLASSES]
    paths = outputs.claim(local_path(args.out, "--out"), names, overwrite=args.overwrite)
    keys = jax.random.split(jax.random.key(args.seed), len(CLASSES))
    for name, wave in zip(names, np.asarray(synthesize(keys, jnp.arange(len(CLASSES)))), strict=True):
        outputs.write(paths[name], files.wav(wave, 22050))
    print(f"{len(CLASSES)} synthetic sounds -> {args.out}")


def style(args: argparse.Namespace) -> None:
    """Run `specjax synth style`: give the sound of one file the texture of another, and write it to a file."""
    content, out, plot = options.input_file(args), options.output_file(args, ".wav"), options.plot_file(args)
    style_file = _style_file(args, out)
    options.start(catches_interrupt=True)  # It ends the optimization; the best result so far is written.
    from specjax.cli import files
    from specjax.papers.texture import stylize

    form = stylize.make_form(args.form, _style_settings(args), _style_network(args))
    result = stylize.stylize(content, style_file, form, _report_style)
    outputs.write(out, files.wav(result.wave, result.sample_rate))
    ended = " (interrupted: best so far)" if result.interrupted else ""
    print(
        f"{content}, {style_file}: {result.wave.shape[-1] / result.sample_rate:.2f} s at {result.sample_rate} Hz, "
        f"level {result.gain_db:+.1f} dB, {result.loss_left:.1%} of the loss left{ended} -> {out}"
    )
    if plot:
        outputs.write(plot, files.png(stylize.draw_result(content, style_file, result)))


def panels(args: argparse.Namespace) -> None:
    """Run `specjax synth panels`: make the four sounds of the paper's Figure 1 and a picture of their spectrograms."""
    content, style_file = options.input_file(args), _style_file(args)
    if args.bundle is None:
        raise UserError("--bundle is missing: name a classifier exported from --config=classifier")
    from specjax.papers.texture import stylize

    names = [*(f"{name}.wav" for name in stylize.FIGURE_1), "panels.png"]
    paths = outputs.claim(local_path(args.out, "--out"), names, overwrite=args.overwrite)
    options.start()
    from specjax.cli import files

    settings, network = _style_settings(args), _style_network(args)
    settings["filters"] = network["conv1"]["bias"].size  # so that the networks differ in their weights only
    waves = {}
    for name, (trained, noise) in stylize.FIGURE_1.items():
        options.say(name)
        form = stylize.make_form("wyse", {**settings, "noise": noise}, network if trained else None)
        result = stylize.stylize(content, style_file, form, _report_style)
        outputs.write(paths[f"{name}.wav"], files.wav(result.wave, result.sample_rate))
        waves[name.replace("_", " ")] = result.wave.mean(axis=0)
        print(f"{name}: {result.loss_left:.1%} of the loss left -> {paths[f'{name}.wav']}")
    outputs.write(paths["panels.png"], files.png(stylize.draw_panels(waves, result.sample_rate)))


def _style_file(args: argparse.Namespace, out: Path | None = None) -> Path:
    """Return the path given by `--style`, after checking that it is a file and not the output `out`."""
    path = local_path(args.style, "--style", "file")
    check_regular_file(path)
    if out is not None and out.exists() and out.samefile(path):
        raise UserError(f"--out={out} is the style: choose another")
    return path


def _style_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the form of style transfer that the user gave."""
    from specjax.papers.texture.stylize import OPTIONS

    given = {name: getattr(args, name) for name in OPTIONS if getattr(args, name, None) is not None}
    if "iterations" in given and given["iterations"] < 1:
        raise UserError(f"--iterations={given['iterations']} must be at least 1")
    for name in ("content_weight", "style_weight"):
        if not 0 <= given.get(name, 0.0) < math.inf:
            raise UserError(f"--{name}={given[name]} must be a number of at least 0")
    _check_seed(given.get("seed", 0))
    if "filters" in given and args.bundle is not None:
        raise UserError("--filters has no effect with --bundle, whose network has its own: omit one of them")
    return {OPTIONS[name]: value for name, value in given.items()}


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise UserError(f"--seed={seed} must lie between 0 and {2**32 - 1}")


def _style_network(args: argparse.Namespace) -> Any:
    """Load the network that the user gave: VGG-19, or the convolutions of a classifier; None if there is none."""
    form = getattr(args, "form", "wyse")
    if args.bundle is not None and form != "wyse":
        raise UserError(f"--bundle has no effect in the form {form}: use --form=wyse, or omit it")
    if getattr(args, "weights", None) is not None and form != "image":
        raise UserError(f"--weights has no effect in the form {form}: use --form=image, or omit it")
    if getattr(args, "weights", None) is not None:
        from specjax.papers.texture.style.vgg import load_params

        return load_params(local_path(args.weights, "--weights", "file"))
    if args.bundle is None:
        return None
    from specjax import papers
    from specjax.papers.texture.classify import convolutions

    folder = local_path(args.bundle, "--bundle")
    inference, variables = papers.open_bundle(folder, "texture/classifier")
    return convolutions(inference, variables, str(folder))


def _report_style(done: int, total: int, loss: float) -> None:
    """Print the progress of a style transfer."""
    options.say(f"step {done}/{total}: loss {loss:.4g}")


def _preset(args: argparse.Namespace) -> Any:
    """Return the spectrogram preset that `--preset` names, or None if the option is not given."""
    from specjax.papers.texture import inference

    return None if args.preset is None else inference.get_preset(args.preset)


def _report(method: str, done: int, total: int, convergence_db: float) -> None:
    """Print the progress of an inversion: its method, iterations done of the total, and spectral convergence in dB."""
    options.say(f"{method} {done}/{total}: {convergence_db:.1f} dB" if done else f"{method} ...")


SUBCOMMANDS = {
    "style": Subcommand("Give one sound the texture of another.", _add_style, style),
    "panels": Subcommand("Make the four panels and sounds of Figure 1 of the texture paper.", _add_panels, panels),
    "sounds": Subcommand("Write synthetic environmental sounds, one of each class.", _add_sounds, sounds),
    "classify": Subcommand("Name the most probable classes of a sound.", _add_classify, classify),
    "spectrogram": Subcommand("Write the spectrogram of a sound.", _add_spectrogram, spectrogram),
    "invert": Subcommand("Reconstruct sound from a spectrogram.", _add_invert, invert),
    "stream": Subcommand("Invert a sound file hop by hop, as a real-time stream would.", _add_stream, stream),
    "features": Subcommand("Extract features of a sound, frame by frame.", _add_features, features),
}
