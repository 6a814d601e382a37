"""python -m specjax.synth {chord,spectrogram,invert,stream,features} ...

Makes sounds and pictures from files and trained bundles. `SUBCOMMAND --help` lists the options of a subcommand.

    specjax synth chord --bundle=bundles/unet --digit=4 --out=FOLDER
    specjax synth spectrogram in.wav --out=spec.png
    specjax synth invert in.wav --out=out.wav
    specjax synth stream in.wav --out=out.wav
    specjax synth features in.wav --out=features.npz
"""

import argparse
import math
from collections.abc import Sequence
from typing import Any, NoReturn

from specjax import papers
from specjax.cli import app
from specjax.cli.errors import UserError

PARSES_ITSELF = True  # `main` uses argparse, because each subcommand has its own options


class _Parser(argparse.ArgumentParser):
    """Argument parser that raises `UserError` for a wrong command line, instead of printing its usage and exiting."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def error(self, message: str) -> NoReturn:
        options = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
        known = f"; options of `{self.prog}`: {', '.join(options)}" if "unrecognized" in message else ""
        raise UserError(f"{message}{known} (usage: {' '.join(self.format_usage().split()[1:])})")


def parser() -> argparse.ArgumentParser:
    """Build the argument parser of `specjax synth`.

    Its subcommands are the entries of `SUBCOMMANDS` in the modules `synth` of the subpackages of `specjax.papers`.
    """
    command = _Parser(prog="specjax synth", description=__doc__)
    subcommands = command.add_subparsers(required=True, metavar="SUBCOMMAND", dest="subcommand")
    for paper in papers.PAPERS:
        module = papers.module(paper, "synth")
        for name, subcommand in (module.SUBCOMMANDS if module else {}).items():
            options = subcommands.add_parser(name, help=subcommand.help, description=subcommand.help)
            subcommand.add_options(options)
            options.set_defaults(run=subcommand.run, parser=options)
    return command


def main(argv: Sequence[str]) -> None:
    options, unknown = parser().parse_known_args(argv[1:])
    if unknown:
        options.parser.error(f"unrecognized argument {unknown[0]!r}{app.hint_for_dashed_file(unknown)}")
    _check_numbers(options)
    options.run(options)


def _check_numbers(options: argparse.Namespace) -> None:
    """Check that the numbers among the parsed options are finite and that integers have at most 64 bits.

    Raises:
      UserError: one is not.
    """
    for name, value in vars(options).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{name}={value} is not a finite number")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise UserError(f"--{name}={value} has more than 64 bits: choose a smaller integer")


if __name__ == "__main__":
    app.run(main)
