"""Subcommands `style`, `panels`, `sounds` and `classify` of `specjax synth`."""

import argparse
import math
from pathlib import Path
from typing import Any

from specjax.cli import options, outputs
from specjax.cli.errors import UserError
from specjax.cli.options import Subcommand
from specjax.cli.paths import local_path
from specjax.data.readers import check_regular_file


def _add_pair(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--content", dest="file", required=True, help="sound file whose events are kept")
    parser.add_argument("--style", required=True, help="sound file whose texture is transferred")
    parser.add_argument("--iterations", type=int, help="optimizer steps (default: that of the method)")
    parser.add_argument("--content_weight", type=float, help="weight of the content")
    parser.add_argument("--style_weight", type=float, help="weight of the style (methods wyse and image)")
    parser.add_argument(
        "--layers",
        type=options.comma_separated,
        help="layers of the style loss: conv1,conv2 of wyse, conv1_1 to conv5_1 of image",
    )
    parser.add_argument("--optimizer", help="adam or lbfgs (method wyse; the others use lbfgs)")
    parser.add_argument("--seed", type=int, help="random seed of filters and noise (default: 0)")


def _add_style(parser: argparse.ArgumentParser) -> None:
    _add_pair(parser)
    options.add_output(parser, "sound to write, .wav")
    parser.add_argument(
        "--method",
        default="waveform",
        help="waveform (optimizes the wave itself), wyse, ulyanov or image (VGG-19) (default: %(default)s)",
    )
    parser.add_argument("--bundle", help="classifier whose weights the method wyse uses, as for classify")
    parser.add_argument("--filters", type=int, help="number of random filters")
    parser.add_argument("--noise", type=float, help="weight of the noise in the starting point, 0 to 1 (method wyse)")
    parser.add_argument("--weights", help="weights of VGG-19 (method image), .safetensors")
    options.add_plot(parser)


def _add_panels(parser: argparse.ArgumentParser) -> None:
    _add_pair(parser)
    options.add_bundle(parser, "classifier", default="classifier")
    options.add_output(parser, "folder to write")


def _add_sounds(parser: argparse.ArgumentParser) -> None:
    options.add_output(parser, "folder to write")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")


def _add_classify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="sound file")
    options.add_bundle(parser, "classifier", default="classifier")
    parser.add_argument("--top", type=int, default=5, help="number of classes to print (default: %(default)s)")


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
    """Run `specjax synth style`: transfer the texture of one sound file to another, and write the result to a file."""
    content, out, plot = options.input_file(args), options.output_file(args, ".wav"), options.plot_file(args)
    style_file = _style_file(args, out)
    options.start(catches_interrupt=True)  # It ends the optimization; the best result so far is written.
    from specjax.cli import files
    from specjax.papers.texture import stylize

    method = stylize.make_method(args.method, _style_settings(args), _style_network(args))
    result = stylize.stylize(content, style_file, method, _report_style)
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
        method = stylize.make_method("wyse", {**settings, "noise": noise}, network if trained else None)
        result = stylize.stylize(content, style_file, method, _report_style)
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
    """Return the settings of the style transfer method that the user specified."""
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
    """Load the network that the user specified: VGG-19, or the convolutions of a classifier; None if there is none."""
    method = getattr(args, "method", "wyse")
    if args.bundle is not None and method != "wyse":
        raise UserError(f"--bundle has no effect in the method {method}: use --method=wyse, or omit it")
    if getattr(args, "weights", None) is not None and method != "image":
        raise UserError(f"--weights has no effect in the method {method}: use --method=image, or omit it")
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


SUBCOMMANDS = {
    "style": Subcommand("Transfer the texture of one sound to another.", _add_style, style),
    "panels": Subcommand("Make the four panels and sounds of Figure 1 of the texture paper.", _add_panels, panels),
    "sounds": Subcommand("Write synthetic environmental sounds, one of each class.", _add_sounds, sounds),
    "classify": Subcommand("Print the most probable classes of a sound.", _add_classify, classify),
}
