"""What every command shares: one clear line for a refusal, quiet libraries, the compilation cache."""

import importlib.util
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app as absl_app
from absl import flags
from absl import logging as absl_logging

from specjax.cli import config, files
from specjax.cli.errors import UserError

USAGE_ERROR = 2
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_kept: list[socket.socket] = []  # open for as long as the process lives


def run(main: Callable[[Sequence[str]], None], *, parse_flags: bool = True) -> None:
    """Run a command's `main` and exit; a `UserError` becomes one line on stderr and exit status 2.

    Args:
      main: takes the command line. If its module defines `POSITIONAL`, it accepts that many arguments that are not
        flags.
      parse_flags: let absl parse its flags first; without, `main` parses the command line itself.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("specjax").setLevel(logging.INFO)
    sys.unraisablehook = _report_unraisable
    absl_logging.set_verbosity(absl_logging.FATAL)  # library errors are raised too, and reported in one line
    if not parse_flags:
        sys.exit(_with_errors_reported(main)(sys.argv))
    positional = getattr(sys.modules[main.__module__], "POSITIONAL", 0)

    def checked(argv: Sequence[str]) -> None:
        if len(argv) > 1 + positional:
            raise UserError(f"unexpected argument {argv[1 + positional]!r}: flags begin with --")
        main(argv)

    try:
        argv = config.resolve_config_argument(sys.argv)
        absl_app.run(_with_errors_reported(checked), argv=argv, flags_parser=_parse_flags)
    except UserError as error:
        _print_error(error)
        sys.exit(USAGE_ERROR)


def require_package(package: str, what: str, *, extra: str) -> None:
    """Refuse `what` where the package that it needs, one of the named extra, is absent."""
    if not importlib.util.find_spec(package):
        raise UserError(f"{what} needs {package}: pip install 'specjax[{extra}]'")


def cache_folder(what: str) -> Path:
    """Where results are kept that can be had again: below `SPECJAX_CACHE`, or in the user's own cache."""
    named = os.environ.get("SPECJAX_CACHE")
    return (Path(named) if named else Path.home() / ".cache" / "specjax") / what


def use_compilation_cache() -> None:
    """Keep compiled programs between runs in a folder of the user's own: whoever can write it can run code."""
    import jax

    folder = cache_folder("xla")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        logging.getLogger("specjax").warning("no compilation cache: %s cannot be made (%s)", folder, error.strerror)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def leave_promptly() -> None:
    """Let Ctrl-C and SIGTERM end the process within a second, whatever a library computes; no half a file is left.

    Python runs a signal's handler only between two of its own steps, and an interpreter that is torn down while a
    library still computes in it crashes. So another thread hears of the signal, and leaves.
    """
    heard, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda *_: None)

    def leave() -> None:
        while (number := heard.recv(1)[0]) not in _STOP_SIGNALS:
            pass
        try:
            files.remove_partial_files()
        finally:
            os._exit(128 + number)

    threading.Thread(target=leave, daemon=True).start()
    _kept.append(told)


def _with_errors_reported(main: Callable[[Sequence[str]], None]) -> Callable[[Sequence[str]], int]:
    """`main`, returning an exit status."""

    def wrapped(argv: Sequence[str]) -> int:
        try:
            main(argv)
        except UserError as error:
            _print_error(error)
            return USAGE_ERROR
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        return 0

    return wrapped


def _report_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    # Orbax closes its event loop at the first array it cannot write; the callbacks of the others then each complain.
    if str(unraisable.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(unraisable)


def _parse_flags(argv: Sequence[str]) -> list[str]:
    config.check_overrides(argv)
    try:
        return flags.FLAGS(["--help" if word == "-h" else word for word in argv])
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        message = str(error.args[0] if error.args else error)
        raise UserError(message + hint_for_dashed_file(argv[1:])) from error


def hint_for_dashed_file(words: Sequence[str]) -> str:
    """How to name a file whose name begins with a dash, if `words` hold one; else nothing."""
    names = [word for word in words if word.startswith("-") and Path(word).is_file()]
    return f"; to name the file {names[0]}, write ./{names[0]}" if names else ""


def _print_error(message: object) -> None:
    line = " ".join(str(message).split())
    # Names of files and of what is in them may come from strangers, and terminals obey control characters.
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    sys.stderr.write(f"error: {shown}\n")
