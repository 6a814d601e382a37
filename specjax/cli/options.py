"""Command-line options shared by the subcommands of `specjax synth`, such as `--out` and `--plot`."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from specjax.cli import app, outputs, shipped
from specjax.cli.errors import UserError
from specjax.cli.paths import local_path


class Subcommand(NamedTuple):
    """One subcommand of `specjax synth`.

    help: one-line description for `--help`.
    add_options: function that adds the options of the subcommand to a parser.
    run: function that runs the subcommand, called with the parsed options.
    """

    help: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


def add_output(parser: argparse.ArgumentParser, help_: str, default: str | None = None) -> None:
    """Add two options to a parser: `--out`, the path of the output, and `--overwrite`, which allows replacing files.

    Args:
      parser: parser to which the options are added.
      help_: help text of `--out`.
      default: default value of `--out`; None makes it required.
    """
    parser.add_argument("--out", default=default, required=default is None, help=help_)
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def add_bundle(parser: argparse.ArgumentParser, help_: str, default: str) -> None:
    """Add the option `--bundle` to a parser. Its value names a trained model.

    Args:
      parser: parser to which the option is added.
      help_: what the bundle is, such as `classifier of sounds`.
      default: name of a bundle that is used by default if it comes with the package. Otherwise the option is required.
    """
    help_ = f"{help_}: folder written by specjax export, or name of a bundle that comes with specjax"
    if default in shipped.names():
        parser.add_argument("--bundle", default=default, help=f"{help_} (default: %(default)s)")
    else:
        parser.add_argument("--bundle", required=True, help=help_)


def add_plot(parser: argparse.ArgumentParser) -> None:
    """Add the option `--plot` to a parser. Its value is the path of a PNG file for a plot of the result."""
    parser.add_argument("--plot", help="also write a picture with axes to this PNG file")


def paths(text: str) -> list[str]:
    """Split the value of an option at its commas, such as `a.png,b.png`, unless it is the path of a file or folder."""
    return [text] if os.path.exists(os.path.expanduser(text)) else text.split(",")


def comma_separated(text: str) -> list[str]:
    """Split the value of an option at its commas, such as `a.png,b.png`."""
    return text.split(",")


def start(*, catches_interrupt: bool = False) -> None:
    """Prepare a subcommand of `specjax synth`, before its work begins.

    Print on stderr that the command has started, make Ctrl-C and SIGTERM end the process within a second, and enable
    JAX's persistent compilation cache.

    Args:
      catches_interrupt: whether the subcommand handles Ctrl-C (`KeyboardInterrupt`) itself.
    """
    say("specjax synth: starting")
    if catches_interrupt:
        app.leave_promptly((signal.SIGTERM,))
    else:
        app.leave_promptly()
    app.use_compilation_cache()


def say(line: str) -> None:
    """Print a line about the progress of a command on stderr."""
    print(line, file=sys.stderr, flush=True)


def input_file(options: argparse.Namespace) -> Path:
    """Return the path of the input file, which is the positional argument `file`.

    Args:
      options: parsed options, with the attribute `file`.

    Raises:
      UserError: the path is a remote address, such as `gs://bucket/in.wav`.
    """
    return local_path(options.file, "", "file")


def output_file(options: argparse.Namespace, *suffixes: str) -> Path:
    """Return the path given by `--out`, after checking that the file can be written.

    Args:
      options: parsed options, with `out`, `overwrite` and the input `file`.
      suffixes: accepted suffixes of the file, in lower case, such as `.wav`.

    Raises:
      UserError: the path is a remote address, has none of the suffixes, exists without `--overwrite` being given, is
        the input file, or cannot be written.
    """
    source = input_file(options)
    out = outputs.claim_file(local_path(options.out, "--out", "file"), suffixes, overwrite=options.overwrite)
    if out.exists() and source.exists() and out.samefile(source):
        raise UserError(f"--out={out} is the input file: choose another")
    return out


def plot_file(options: argparse.Namespace) -> Path | None:
    """Return the path given by `--plot`, after checking that the file can be written; None if the option is not given.

    Raises:
      UserError: the path is a remote address, does not end in `.png`, exists without
        `--overwrite` being given, is the input file or the file of `--out`, or cannot be written.
    """
    if options.plot is None:
        return None
    path = local_path(options.plot, "--plot", "file")
    plot = outputs.claim_file(path, (".png",), overwrite=options.overwrite, flag="--plot")
    others = (local_path(options.out, "--out", "file"), input_file(options))
    if plot.absolute() in [other.absolute() for other in others]:
        raise UserError(f"--plot={plot} is the input file or --out: choose another")
    return plot
