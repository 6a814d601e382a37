"""What all commands share: errors in one line, quiet libraries, prompt reaction to signals, the compilation cache."""

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
_open_sockets: list[socket.socket] = []  # A closed socket would no longer report signals.


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Run a command and exit. A `UserError` becomes one line on stderr and exit status 2.

    Args:
      main: function of the command line. If its module defines `POSITIONAL`, the command takes at most that many
        positional arguments, else none. If it defines `PARSES_ITSELF`, absl parses no flags: `main` does it all.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("specjax").setLevel(logging.INFO)
    sys.unraisablehook = _report_unraisable
    absl_logging.set_verbosity(absl_logging.FATAL)  # Libraries also raise the errors that they log.
    module = sys.modules[main.__module__]
    if getattr(module, "PARSES_ITSELF", False):
        sys.exit(_report_errors(main)(sys.argv))
    positional = getattr(module, "POSITIONAL", 0)

    def check_and_run(argv: Sequence[str]) -> None:
        if len(argv) > 1 + positional:
            raise UserError(f"unexpected argument {argv[1 + positional]!r}: flags begin with --")
        main(argv)

    try:
        argv = config.resolve_config_argument(sys.argv)
        absl_app.run(_report_errors(check_and_run), argv=argv, flags_parser=_parse_flags)
    except UserError as error:
        _print_error(error)
        sys.exit(USAGE_ERROR)


def require_package(package: str, feature: str, *, extra: str) -> None:
    """Check that an optional package is installed.

    Args:
      package: name to import.
      feature: what needs the package, such as `--plot`.
      extra: the extra of specjax that installs the package.

    Raises:
      UserError: the package is not installed.
    """
    if not importlib.util.find_spec(package):
        raise UserError(f"{feature} needs {package}: pip install 'specjax[{extra}]'")


def cache_folder(name: str) -> Path:
    """Folder `name` for results that can be computed again, in `SPECJAX_CACHE` or else in `~/.cache/specjax`."""
    root = os.environ.get("SPECJAX_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "specjax") / name


def use_compilation_cache() -> None:
    """Keep compiled programs between runs.

    The cache folder belongs to the user alone, because whoever can write to it can run code in later runs. If the
    folder cannot be made, a warning is logged and nothing is cached.
    """
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
    """Make Ctrl-C and SIGTERM end the process within a second, whatever a library is computing.

    Partial files are removed first. The exit status is 128 plus the number of the signal.

    Python runs signal handlers only between two bytecode instructions, so a long library call would delay them. An
    interpreter that shuts down during such a call crashes. Therefore a second thread waits for the signal and ends the
    process with `os._exit`.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda *_: None)

    def wait_and_exit() -> None:
        while (number := receiver.recv(1)[0]) not in _STOP_SIGNALS:
            pass
        try:
            files.remove_partial_files()
        finally:
            os._exit(128 + number)

    threading.Thread(target=wait_and_exit, daemon=True).start()
    _open_sockets.append(sender)


def _report_errors(main: Callable[[Sequence[str]], None]) -> Callable[[Sequence[str]], int]:
    """Wrap `main`: errors of the user are printed, and the result is the exit status."""

    def run_main(argv: Sequence[str]) -> int:
        try:
            main(argv)
        except UserError as error:
            _print_error(error)
            return USAGE_ERROR
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        return 0

    return run_main


def _report_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    # Orbax closes its event loop when it cannot write an array. The callbacks of the other arrays then raise this
    # error, once each. It adds nothing to the error that Orbax raises.
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
    """Part of an error message, about a file in `words` whose name begins with a dash; empty if there is none."""
    names = [word for word in words if word.startswith("-") and Path(word).is_file()]
    return f"; to name the file {names[0]}, write ./{names[0]}" if names else ""


def _print_error(message: object) -> None:
    line = " ".join(str(message).split())
    # File names and file contents may come from strangers, and terminals obey control characters.
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    sys.stderr.write(f"error: {escaped}\n")
