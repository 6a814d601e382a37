"""Command-line options that the subcommands of `specjax synth` share."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from specjax.cli import app, outputs
from specjax.cli.errors import UserError
from specjax.cli.paths import local_path


class Subcommand(NamedTuple):
    """One subcommand of `specjax synth`.

    help: line for `--help`.
    add_options: adds the options to a parser.
    run: runs the subcommand with the parsed options.
    """

    help: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


def add_output(parser: argparse.ArgumentParser, help_: str, default: str | None = None) -> None:
    """Add `--out` and `--overwrite`. Without a default, `--out` is required."""
    parser.add_argument("--out", default=default, required=default is None, help=help_)
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def add_plot(parser: argparse.ArgumentParser) -> None:
    """Add `--plot`."""
    parser.add_argument("--plot", help="also write a picture with axes to this PNG file")


def comma_separated(text: str) -> list[str]:
    """Parse the value of an option that takes a list, such as `a.png,b.png`."""
    return text.split(",")


def start() -> None:
    """Print that the command has started, and prepare the process for long computations."""
    say("specjax synth: starting")
    app.leave_promptly()
    app.use_compilation_cache()


def say(line: str) -> None:
    """Print a line about progress on stderr."""
    print(line, file=sys.stderr, flush=True)


def input_file(options: argparse.Namespace) -> Path:
    """Path of the positional argument `file`.

    Raises:
      UserError: it is a remote address.
    """
    return local_path(options.file, "", "file")


def output_file(options: argparse.Namespace, *suffixes: str) -> Path:
    """Path of `--out`, checked to be writable before any work is done.

    Raises:
      UserError: the path is a remote address, has none of the suffixes, exists although `--overwrite` is not given, is
        the input file, or cannot be written.
    """
    source = input_file(options)
    out = outputs.claim_file(local_path(options.out, "--out", "file"), suffixes, overwrite=options.overwrite)
    if out.exists() and source.exists() and out.samefile(source):
        raise UserError(f"--out={out} is the input file: choose another")
    return out


def plot_file(options: argparse.Namespace) -> Path | None:
    """Path of `--plot` if it is given, checked like `output_file`.

    Raises:
      UserError: as `output_file`, or matplotlib is not installed.
    """
    if options.plot is None:
        return None
    app.require_package("matplotlib", "--plot", extra="plots")
    path = local_path(options.plot, "--plot", "file")
    plot = outputs.claim_file(path, (".png",), overwrite=options.overwrite, flag="--plot")
    others = (local_path(options.out, "--out", "file"), input_file(options))
    if plot.absolute() in [other.absolute() for other in others]:
        raise UserError(f"--plot={plot} is the input file or --out: choose another")
    return plot
