"""Commands go on when nobody reads what they print, or when it cannot be encoded."""

import os
import subprocess
import sys
from pathlib import Path

from specjax.cli import app

SCRIPT = """
import os, sys
from contextlib import suppress
from pathlib import Path
from specjax.cli import app

def main(argv):
    with open(sys.argv[1], "w") as file:  # must not get the number of a closed stream
        for number in (1, 2):
            with suppress(OSError):
                os.write(number, b"text of a library")
        print("lost")
        print("lost", file=sys.stderr)
        app.logging.getLogger("specjax").warning("lost")
    Path(sys.argv[1]).with_suffix(".done").touch()

PARSES_ITSELF = True
app.run(main)
"""


def run_script(path, redirections="", **streams):
    root = Path(__file__).parent.parent.parent
    command_line = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-c", SCRIPT, str(path)]
    return subprocess.Popen(command_line, cwd=root, **streams)


def test_closed_streams_cost_only_what_was_printed(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)  # as `| head` does
    processes = [
        run_script(tmp_path / "gone", stdout=writer, stderr=writer),
        run_script(tmp_path / "closed", ">&- 2>&-"),
    ]
    assert [process.wait(60) for process in processes] == [0, 0]
    os.close(writer)
    for name in ("gone", "closed"):
        assert (tmp_path / name).read_bytes() == b""
        assert (tmp_path / f"{name}.done").exists()


def test_what_the_terminal_cannot_encode_is_escaped(tmp_path):
    with open(tmp_path / "terminal", "w", encoding="ascii") as stream:
        print("0.5 ± 0.1", file=app._Stream(stream))
    assert (tmp_path / "terminal").read_bytes() == rb"0.5 \xb1 0.1" + b"\n"
