"""Subcommands `paint`, `refine`, `museum` and `paint_figures` of `specjax synth`: pictures from music."""

import argparse
import shutil
from pathlib import Path

from specjax.cli import options, outputs
from specjax.cli.errors import UserError
from specjax.cli.options import Subcommand
from specjax.cli.paths import local_path

_MAX_COUNT = 10_000
_MAX_COMPOSITIONS = 10_000
_MIN_SIZE, _MAX_SIZE = 64, 4096
_MAX_COLLAGE_SIZE = 128  # height and width of a picture in the collage, in pixels
_BLOCK = 6  # pictures per call of the generator


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="sound file of at least 8.91 s")
    options.add_bundle(parser, "generator and encoder", default="cdcgan")
    parser.add_argument(
        "--count", type=int, default=6, help="pictures, at equal distances along the piece (default: %(default)s)"
    )
    parser.add_argument(
        "--size", type=int, default=64, help="height and width in pixels; scaled up from 64 (default: 64)"
    )
    parser.add_argument(
        "--refine", action="store_true", help="give the pictures the style of real paintings (--size: 64, 128 or 256)"
    )
    parser.add_argument(
        "--film",
        help="also paint a film that moves on the beats: NAME.mp4, which needs ffmpeg, or a folder for its frames",
    )
    options.add_output(parser, "folder for NAME-1.png and so on, and collage.png (default: out)", "out")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")


def run(chosen: argparse.Namespace) -> None:
    """Run `specjax synth paint`: paint pictures along a piece of music, and a film, and write them to files."""
    if not 1 <= chosen.count <= _MAX_COUNT:
        raise UserError(f"--count={chosen.count} must lie between 1 and {_MAX_COUNT}")
    if not 0 <= chosen.seed < 2**32:
        raise UserError(f"--seed={chosen.seed} must lie between 0 and {2**32 - 1}")
    if not _MIN_SIZE <= chosen.size <= _MAX_SIZE or chosen.size % 2:
        raise UserError(f"--size={chosen.size} must be even and lie between {_MIN_SIZE} and {_MAX_SIZE}")
    file, bundle = options.input_file(chosen), local_path(chosen.bundle, "--bundle")
    names = [f"{file.stem}-{i}.png" for i in range(1, chosen.count + 1)]
    paths = outputs.claim(local_path(chosen.out, "--out"), [*names, "collage.png"], overwrite=chosen.overwrite)
    film_path = None if chosen.film is None else _claim_film(chosen)
    options.start()
    import jax
    import numpy as np

    from specjax import papers
    from specjax.cli import files
    from specjax.data.sound_file import SoundFile
    from specjax.papers.mvnet import chunks, film
    from specjax.papers.mvnet.inference import find_starts, require_refiner
    from specjax.papers.mvnet.pictures import collage
    from specjax.papers.mvnet.representation import CLIP_S, SAMPLE_RATE
    from specjax.papers.mvnet.style import check_size

    painter = papers.open_bundle(bundle, "mvnet/cdcgan")
    refiner = require_refiner(painter, bundle) if chosen.refine else None
    if refiner is not None:
        check_size(chosen.size)
    piece = SoundFile(file, SAMPLE_RATE)
    starts = find_starts(sum(map(len, piece)), chosen.count, str(file))
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(chosen.seed), np.arange(chosen.count))
    painted: list[np.ndarray] = []
    for clips in film.make_batches(chunks.cut(piece, starts), _BLOCK):
        painted.extend(painter.paint(np.stack(clips), keys[len(painted) : len(painted) + len(clips)]))
    for i, (name, start) in enumerate(zip(names, starts, strict=True)):
        picture = film.scale(painted[i], chosen.size)
        if refiner is not None:
            picture = refiner.refine_towards_nearest(picture)
        outputs.write(paths[name], files.png(picture))
        painted[i] = film.scale(picture, min(chosen.size, _MAX_COLLAGE_SIZE))
        print(f"{start / SAMPLE_RATE:.2f} to {start / SAMPLE_RATE + CLIP_S:.2f} s -> {paths[name]}", flush=True)
    outputs.write(paths["collage.png"], files.png(collage(np.stack(painted))))
    if film_path is not None:
        frames = film.paint_frames(painter, film.find_beats(piece), chosen.seed, options.say)
        if film_path.suffix:
            number = film.write_video(film_path, frames, chosen.size, file)
        else:
            number = film.write_frames(film_path, frames, chosen.size)
        print(f"film of {number} frames, {film.FRAME_RATE} per second -> {film_path}")


def _claim_film(chosen: argparse.Namespace) -> Path:
    """Check that the film can be written, and return its path.

    Raises:
      UserError: it exists and may not be replaced, cannot be written, or needs a program that is not installed.
    """
    path = local_path(chosen.film, "--film")
    if path.suffix:
        if path.suffix != ".mp4":
            raise UserError(f"--film={path} ends in {path.suffix}: name a file NAME.mp4, or a folder without a suffix")
        if shutil.which("ffmpeg") is None:
            raise UserError(f"--film={path} needs ffmpeg, which is not installed: install it, or name a folder")
        return outputs.claim_file(path, (".mp4",), overwrite=chosen.overwrite, flag="--film")
    outputs.claim(path, ["000001.png"], overwrite=chosen.overwrite, flag="--film")
    if old := sorted(path.glob("[0-9]" * 6 + ".png")):
        if not chosen.overwrite:
            raise UserError(f"--film={path} has frames of another film, such as {old[0].name}: name another folder")
        for frame in old:  # the new film may be shorter
            frame.unlink()
    return path


def add_refine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="picture of any size; the square in its middle is refined")
    options.add_output(parser, "picture to write, .png")
    options.add_bundle(parser, "second stage, or GAN with one", default="style")
    parser.add_argument("--era", default="", help="era of the paintings (default: that of the nearest painting)")
    parser.add_argument("--style", help="picture to take the style from, instead of a painting of the bundle")
    parser.add_argument(
        "--size", type=int, default=256, help="height and width in pixels: 64, 128 or 256 (default: %(default)s)"
    )
    parser.add_argument(
        "--content_weight", type=float, default=1.0, help="weight of the content (default: %(default)s)"
    )
    parser.add_argument("--iterations", type=int, default=100, help="optimization steps (default: %(default)s)")


def refine(chosen: argparse.Namespace) -> None:
    """Run `specjax synth refine`: give a picture the style of real paintings, and write it to a file."""
    if chosen.era and chosen.style is not None:
        raise UserError("--era and --style were given, expected one of them: leave one out")
    file, out = options.input_file(chosen), options.output_file(chosen, ".png")
    bundle = local_path(chosen.bundle, "--bundle")
    options.start(catches_interrupt=True)  # It ends the optimization; the best picture so far is written.
    from specjax import papers
    from specjax.cli import files
    from specjax.cli.config import to_dataclass
    from specjax.data.pictures import read_square
    from specjax.papers.mvnet.inference import require_refiner
    from specjax.papers.mvnet.refinement import Refinement
    from specjax.papers.mvnet.style import check_size

    check_size(chosen.size)
    values = {"content_weight": chosen.content_weight, "iterations": chosen.iterations}
    settings = to_dataclass(Refinement, values, "synth")
    refiner = require_refiner(papers.open_bundle(bundle, ("mvnet/style", "mvnet/cdcgan")), bundle)
    picture = read_square(file, chosen.size)[None]
    if chosen.style is None:
        style = refiner.find_nearest(picture, chosen.era)
    else:
        style = refiner.measure(read_square(local_path(chosen.style, "--style", "file"), chosen.size)[None])

    def report(done: int, loss: float) -> None:
        options.say(f"step {done}/{settings.iterations}, loss {loss:.3g}")

    refined, interrupted = refiner.refine(picture, style, settings, report)
    outputs.write(out, files.png(refined[0]))
    before, after = (refiner.measure_distance(pixels, style) for pixels in (picture, refined))
    ended = " (interrupted: best so far)" if interrupted else ""
    print(f"{file}: distance from the style {before:.3g} -> {after:.3g}{ended} -> {out}")


def add_museum_options(parser: argparse.ArgumentParser) -> None:
    options.add_output(parser, "folder to write")
    parser.add_argument(
        "--composition",
        type=int,
        default=0,
        help="index of the composition within each era; of N compositions per era, 0 to N-1, the last are held out "
        "(default: %(default)s)",
    )


def write_museum(chosen: argparse.Namespace) -> None:
    """Run `specjax synth museum`: write a composition of each era of the synthetic museum to a folder."""
    if not 0 <= chosen.composition < _MAX_COMPOSITIONS:
        raise UserError(f"--composition={chosen.composition} must lie between 0 and {_MAX_COMPOSITIONS - 1}")
    options.start()
    import jax.numpy as jnp
    import numpy as np

    from specjax.cli import files
    from specjax.papers.mvnet.dataset import ERAS, MuseumConfig
    from specjax.papers.mvnet.museum.music import synthesize
    from specjax.papers.mvnet.representation import SAMPLE_RATE

    segments = MuseumConfig().synthetic_segments
    paths = outputs.claim(local_path(chosen.out, "--out"), [f"{era}.wav" for era in ERAS], overwrite=chosen.overwrite)
    clips = jnp.arange(segments) + segments * chosen.composition
    for number, path in enumerate(paths.values()):
        waves = np.asarray(synthesize(jnp.full(segments, number), clips, segments))
        outputs.write(path, files.wav(waves.reshape(-1), SAMPLE_RATE))
    print(f"{len(ERAS)} synthetic pieces -> {chosen.out}")


def add_figures_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--encoder", required=True, help="folder of a finished run of an encoder")
    parser.add_argument("--gan", required=True, help="folder of a finished run of a GAN")
    options.add_output(parser, "folder for the figures (default: figures)", "figures")


def collect_figures(chosen: argparse.Namespace) -> None:
    """Run `specjax synth paint_figures`: write figures 4 to 8 of the paper to a folder."""
    encoder, gan = local_path(chosen.encoder, "--encoder"), local_path(chosen.gan, "--gan")
    options.start()
    from specjax.papers.mvnet import figures

    collected = dict(figures.collect(encoder, gan))
    paths = outputs.claim(local_path(chosen.out, "--out"), list(collected), overwrite=chosen.overwrite)
    for name, png in collected.items():
        outputs.write(paths[name], png)
        print(paths[name])


SUBCOMMANDS = {
    "paint": Subcommand("Paint pictures from a piece of music with a trained generator.", add_options, run),
    "refine": Subcommand("Give a picture the style of real paintings.", add_refine_options, refine),
    "museum": Subcommand("Write a synthetic piece of each era.", add_museum_options, write_museum),
    "paint_figures": Subcommand(
        "Draw figures 4 to 8 of the mvnet paper from runs.", add_figures_options, collect_figures
    ),
}
