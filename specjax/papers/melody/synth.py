"""Subcommands `specjax synth melody` and `melody_figures`: music from a trained generator, and the paper's figures."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specjax.cli import options, outputs
from specjax.cli.errors import UserError
from specjax.cli.options import Subcommand
from specjax.cli.paths import local_path

if TYPE_CHECKING:
    from specjax.papers.melody.images import ImagesInference
    from specjax.papers.melody.pieces import Generator

_DURATION_S = 10.0


def add_options(parser: argparse.ArgumentParser) -> None:
    options.add_bundle(parser, "generator", default="gan")
    genres = parser.add_mutually_exclusive_group()
    genres.add_argument("--genre", type=options.comma_separated, help="genres: pop,jazz (default: all of the bundle)")
    genres.add_argument(
        "--morph", type=options.comma_separated, help="two genres, pop,jazz: pieces from one to the other"
    )
    parser.add_argument("--count", type=int, help="pieces of each genre, or of a morph (default: 1; morph: 5)")
    options.add_output(parser, "folder for NAME.wav and NAME.png of every piece, and grid.png (default: out)", "out")
    parser.add_argument("--duration", type=float, default=_DURATION_S, help="duration in s (default: %(default)s)")
    parser.add_argument("--loop", action="store_true", help="the end of each piece leads into its beginning")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")


def run(chosen: argparse.Namespace) -> None:
    """Run `specjax synth melody`: generate pieces of music, and write their sounds and pictures to a folder."""
    count = chosen.count if chosen.count is not None else (5 if chosen.morph else 1)
    _check(chosen, count)
    bundle, out = local_path(chosen.bundle, "--bundle"), local_path(chosen.out, "--out")
    options.start()
    from specjax import papers
    from specjax.papers.melody import pieces
    from specjax.papers.melody.images import ImagesInference

    inference, variables = papers.open_bundle(bundle, (*pieces.GENERATORS, "melody/images"))
    write = _write_pictures if isinstance(inference, ImagesInference) else _write_pieces
    write(chosen, inference, variables, out, count)


def _write_pieces(chosen: argparse.Namespace, inference: "Generator", variables: Any, out: Path, count: int) -> None:
    """Generate pieces, and write their sounds and pictures to a folder.

    Raises:
      UserError: a genre is unknown, or an option asks for something that the generator cannot make.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from specjax.cli import files
    from specjax.papers.melody import pieces
    from specjax.papers.melody.representation import SAMPLE_RATE

    genres, representation = inference.config.data.genres, inference.config.representation
    if chosen.morph:
        shares, titles = pieces.morph_shares(genres, chosen.morph, count), ["-".join(chosen.morph)]
        keys = jnp.repeat(jax.random.key(chosen.seed)[None], count)  # the same piece in other genres
    else:
        titles = list(chosen.genre or genres)
        shares = pieces.genre_shares(genres, titles, count)
        keys = jax.random.split(jax.random.key(chosen.seed), len(shares))
    frames = pieces.count_frames(chosen.duration)
    if chosen.loop:
        frames = pieces.count_loop_frames(chosen.duration, inference.column_frames, inference.config.data.tempo_bpm)
    pieces.check_request(inference, chosen.bundle, frames, loop=chosen.loop, morph=bool(chosen.morph))
    names = _number(titles, count)
    file_names = [f"{name}.{suffix}" for name in names for suffix in ("wav", "png")]
    paths = outputs.claim(out, [*file_names, "grid.png"], overwrite=chosen.overwrite)
    power, make_wave = pieces.compose(inference, variables, keys, jnp.asarray(shares), frames, loop=chosen.loop)
    grid = pieces.draw_grid(power.reshape(len(titles), count, *power.shape[1:]), titles, representation)
    outputs.write(paths["grid.png"], files.png(grid))
    for i, name in enumerate(names):
        wave = make_wave(i)
        peak = float(np.abs(wave).max())
        outputs.write(paths[f"{name}.wav"], files.wav(wave / max(peak, 1.0), SAMPLE_RATE))
        outputs.write(paths[f"{name}.png"], files.png(pieces.draw_piece(power[i], representation, name)))
        print(f"{name}: {len(wave) / SAMPLE_RATE:.2f} s, peak {peak:.2f} -> {paths[f'{name}.wav']}")


def _write_pictures(
    chosen: argparse.Namespace, inference: "ImagesInference", variables: Any, out: Path, count: int
) -> None:
    """Generate pictures with the networks of the paper's first approach, and write them to a folder.

    Raises:
      UserError: a genre is unknown, or an option asks for something that pictures do not have.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from specjax.cli import files
    from specjax.papers.melody import pictures, pieces

    if chosen.morph or chosen.loop or chosen.duration != _DURATION_S:
        raise UserError(f"{chosen.bundle} draws pictures of a fixed size: omit --morph, --loop and --duration")
    genres = inference.config.data.genres
    titles = list(chosen.genre or genres)
    numbers = jnp.argmax(jnp.asarray(pieces.genre_shares(genres, titles, count)), axis=1)
    names = _number(titles, count)
    paths = outputs.claim(out, [f"{name}.png" for name in [*names, "grid"]], overwrite=chosen.overwrite)
    pixels = np.asarray(inference.draw(variables, jax.random.split(jax.random.key(chosen.seed), len(names)), numbers))
    sheet = pictures.draw_sheet(pixels.reshape(len(titles), count, *pixels.shape[1:]), titles)
    outputs.write(paths["grid.png"], files.png(sheet))
    for name, picture in zip(names, pixels, strict=True):
        outputs.write(paths[f"{name}.png"], files.png(picture))
        print(f"{name}: picture -> {paths[f'{name}.png']}")
    options.say("no sounds: the colors of a picture cannot be turned back to sound")


def _number(titles: Sequence[str], count: int) -> list[str]:
    """Return the names of `count` results of each title: `pop-1`, `pop-2` and so on."""
    return [f"{title}-{i}" for title in titles for i in range(1, count + 1)]


def _add_figures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs",
        type=options.paths,
        required=True,
        help="folders of finished runs: of gan_paper_tanh and gan_paper_relu, also of other generators or gan_images",
    )
    parser.add_argument("--genre", default="pop", help="genre of the clips (default: %(default)s)")
    options.add_output(parser, "folder for the figures (default: figures)", "figures")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")


def _run_figures(chosen: argparse.Namespace) -> None:
    """Run `specjax synth melody_figures`: draw figures 5 to 12 of the paper, and write them to a folder."""
    _check_seed(chosen.seed)
    workdirs = [local_path(name, "--runs") for name in chosen.runs]
    out = local_path(chosen.out, "--out")
    options.start()
    from specjax.papers.melody import figures

    runs = figures.open_runs(workdirs, chosen.genre)
    paths = outputs.claim(out, figures.file_names(runs), overwrite=chosen.overwrite)
    for name, png in figures.draw(runs, chosen.genre, chosen.seed):
        outputs.write(paths[name], png)
        print(paths[name])


def _check(chosen: argparse.Namespace, count: int) -> None:
    """Check the values of the options.

    Raises:
      UserError: a value is out of range.
    """
    if count < 1:
        raise UserError(f"--count={count} must be at least 1")
    _check_seed(chosen.seed)
    if not 1 <= chosen.duration <= 600:
        raise UserError(f"--duration={chosen.duration:g} must lie between 1 and 600")
    if chosen.morph and len(chosen.morph) != 2:
        raise UserError(f"--morph names {len(chosen.morph)} genres, expected two, as in --morph=pop,jazz")


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise UserError(f"--seed={seed} must lie between 0 and {2**32 - 1}")


SUBCOMMANDS = {
    "melody": Subcommand("Write music, or pictures of it, with a trained generator.", add_options, run),
    "melody_figures": Subcommand("Draw figures 5 to 12 of the melody paper from runs.", _add_figures, _run_figures),
}
