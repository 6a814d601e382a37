"""usage: specjax COMMAND ...

Runs a command. `specjax COMMAND ...` does the same as `python -m specjax.COMMAND ...`.
"""

import importlib
import sys

COMMANDS = ("train", "evaluate", "export", "synth", "knobs", "bench", "study")


def main() -> None:
    """Run the command named by the first command-line argument."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command not in COMMANDS:
        sys.stderr.write(f"usage: specjax {{{','.join(COMMANDS)}}} ... (each takes --help)\n")
        sys.exit(2)
    sys.argv = [f"specjax {command}", *sys.argv[2:]]
    from specjax.cli import app

    app.run(importlib.import_module(f"specjax.{command}").main)


if __name__ == "__main__":
    main()
