"""Options that subcommands of `specjax synth` share, and how their values are read."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from specjax.cli import app, outputs
from specjax.cli.errors import UserError


class Subcommand(NamedTuple):
    """One subcommand: what `--help` says, what adds its options to a parser, and what runs it."""

    help: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


def add_output(parser: argparse.ArgumentParser, help_: str, default: str | None = None) -> None:
    """`--out`, and `--overwrite`."""
    parser.add_argument("--out", default=default, required=default is None, help=help_)
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def add_plot(parser: argparse.ArgumentParser) -> None:
    """`--plot`."""
    parser.add_argument("--plot", help="also draw a picture with axes, into this PNG")


def comma_separated(text: str) -> list[str]:
    """Values of an option that takes several, such as `a.png,b.png`."""
    return text.split(",")


def start() -> None:
    """Say that the command is running, and prepare for work that takes a while."""
    say("specjax synth: starting")
    app.leave_promptly()
    app.use_compilation_cache()


def say(line: str) -> None:
    """Print progress, on stderr."""
    print(line, file=sys.stderr, flush=True)


def output_file(options: argparse.Namespace, *suffixes: str) -> Path:
    """The file named by `--out`, checked to be writable before any work is done.

    Raises:
      UserError: another suffix, an existing file without `--overwrite`, or the input file itself.
    """
    source = Path(options.file)
    out = outputs.claim_file(Path(options.out), suffixes, overwrite=options.overwrite)
    if out.exists() and source.exists() and out.samefile(source):
        raise UserError(f"--out={out} is the input file: choose another")
    return out


def plot_file(options: argparse.Namespace) -> Path | None:
    """The file named by `--plot`, if any, checked like `output_file`."""
    if options.plot is None:
        return None
    app.require_package("matplotlib", "--plot", extra="plots")
    plot = outputs.claim_file(Path(options.plot), (".png",), overwrite=options.overwrite, flag="--plot")
    if plot.absolute() in (Path(options.out).absolute(), Path(options.file).absolute()):
        raise UserError(f"--plot={plot} is the input file or --out: choose another")
    return plot
