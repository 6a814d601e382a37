"""usage: specjax COMMAND ...

Runs a command. `specjax COMMAND ...` does the same as `python -m specjax.COMMAND ...`.
"""

import importlib
import sys

import specjax

COMMANDS = {
    "train": "train the task of a config, or resume a run",
    "evaluate": "evaluate a run on held-out examples or on other data",
    "export": "export a run as a bundle",
    "synth": "make sounds, pictures and spectrograms; most subcommands use bundles",
    "knobs": "show and change learning rates, loss weights and others while a run trains",
    "bench": "time the programs of a config",
    "study": "answer the questions of the papers by experiments",
}
USAGE = f"usage: specjax {{{','.join(COMMANDS)}}} ... (each takes --help)"


def main() -> None:
    """Run the command named by the first command-line argument."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command in ("-h", "--help", "help"):
        print("\n".join([USAGE, "", *(f"  {name:9} {text}" for name, text in COMMANDS.items())]))
        return
    if command == "--version":
        print(f"specjax {specjax.__version__}")
        return
    if command not in COMMANDS:
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    sys.argv = [f"specjax {command}", *sys.argv[2:]]
    from specjax.cli import app

    app.run(importlib.import_module(f"specjax.{command}").main)


if __name__ == "__main__":
    main()
