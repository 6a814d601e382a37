"""Functions that all commands share: one-line errors, quiet libraries, prompt exit on signals, compilation cache."""

import io
import logging
import os
import signal
import socket
import sys
import threading
import types
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from absl import app as absl_app
from absl import flags
from absl import logging as absl_logging

from specjax.cli import config, files
from specjax.cli.errors import UserError

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_open_sockets: list[socket.socket] = []  # Kept open, because a closed socket would not report signals.


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Run the main function of a command, and exit.

    A `UserError` is printed as one line on stderr, and the exit status is then its `exit_status`.

    Args:
      main: main function. It is called with a list: the name of the program, then the positional arguments. Two
        constants in the module of `main` are optional. `POSITIONAL` is the maximum number of positional arguments
        (default 0). `PARSES_ITSELF = True` disables flag parsing, and `main` is called with `sys.argv` unchanged.
    """
    _survive_lost_readers()
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("specjax").setLevel(logging.INFO)
    sys.unraisablehook = _report_unraisable
    # Orbax abandons the arrays that follow one that it cannot write. The error that it raises says what is needed.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    absl_logging.set_verbosity(absl_logging.FATAL)  # Libraries raise the errors that they log.
    module = sys.modules[main.__module__]
    if getattr(module, "PARSES_ITSELF", False):
        sys.exit(_report_errors(main)(sys.argv))
    positional = getattr(module, "POSITIONAL", 0)

    def check_and_run(argv: Sequence[str]) -> None:
        if len(argv) > 1 + positional:
            raise UserError(f"unexpected argument {argv[1 + positional]!r}: flags begin with --")
        main(argv)

    try:
        argv = config.resolve_overrides(config.resolve_config_argument(sys.argv))
        if any(word in ("-h", "-help", "--help") for word in argv[1:]):
            print(_format_help(module, argv))
            sys.exit(0)
        sys.argv = argv  # ml_collections reads the overrides there
        absl_app.run(_report_errors(check_and_run), argv=argv, flags_parser=_parse_flags)
    except UserError as error:
        _print_error(error)
        sys.exit(error.exit_status)


def cache_folder(name: str) -> Path:
    """Return the path of the subfolder `name` of the cache of specjax, without creating it.

    The cache is the folder in the environment variable `SPECJAX_CACHE` if that is set, else `~/.cache/specjax`. It
    holds only files that may be deleted at any time, because specjax can compute them again. For a user without a home,
    the path cannot be created.
    """
    if root := os.environ.get("SPECJAX_CACHE"):
        return Path(root) / name
    home = os.path.expanduser("~")
    return Path(home if os.path.isabs(home) else f"{os.devnull}/no-home") / ".cache" / "specjax" / name


def use_compilation_cache() -> None:
    """Enable JAX's persistent compilation cache, so that later runs reuse compiled programs.

    The cache folder is created with access for the user alone, because anyone who can write to it can run code in later
    runs. If it cannot be created, a warning is logged and nothing is cached.
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


def leave_promptly(signals: Sequence[signal.Signals] = _STOP_SIGNALS) -> None:
    """Make signals end the process within a second, even during a long call into a library.

    Temporary files of unfinished writes are removed first. The exit status is 128 plus the number of the signal.

    Args:
      signals: the signals; by default Ctrl-C, SIGTERM and SIGHUP. One that is disabled, as by `nohup`, stays disabled.
    """
    # Python runs signal handlers only between two bytecode instructions, so a long library call would delay them. An
    # interpreter that shuts down during such a call crashes. Therefore a second thread waits for the signal and ends
    # the process with `os._exit`.
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    for number in signals:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: None)

    def wait_and_exit() -> None:
        while (number := receiver.recv(1)[0]) not in signals:
            pass
        try:
            files.remove_partial_files()
        finally:
            os._exit(128 + number)

    threading.Thread(target=wait_and_exit, daemon=True).start()
    _open_sockets.append(sender)


class _Stream:
    """Text stream that escapes control characters and what it cannot encode, and loses what cannot be written.

    File names and contents may come from untrusted sources, and terminals execute control characters. A reader or a
    terminal may be gone.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(escape_control_characters(text))
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def escape_control_characters(text: str) -> str:
    """Escape characters that a terminal would execute, such as `\\x1b`.

    Line ends, tabs, and a carriage return at the start, with which a progress line covers the one before, are kept.
    """
    start, rest = ("\r", text[1:]) if text.startswith("\r") else ("", text)
    kept = (c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in rest)
    return start + "".join(kept)


def _survive_lost_readers() -> None:
    """Let a command go on if nobody reads its stdout or stderr any more, or if they were closed from the start."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # A file opened later would get the number of the closed stream, and so its text.
    os.close(handle)
    sys.stdout, sys.stderr = map(_Stream, (sys.stdout or os.fdopen(1, "w"), sys.stderr or os.fdopen(2, "w")))


def _report_errors(main: Callable[[Sequence[str]], None]) -> Callable[[Sequence[str]], int]:
    """Wrap `main` in a function that prints a `UserError` instead of raising it, and returns the exit status."""

    def run_main(argv: Sequence[str]) -> int:
        try:
            main(argv)
        except UserError as error:
            _print_error(error)
            return error.exit_status
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        except (AssertionError, RuntimeError):
            if (reason := _missing_devices()) is None:
                raise
            _print_error(reason)
            return UserError.exit_status
        return 0

    return run_main


def _missing_devices() -> str | None:
    """Return an error message if JAX finds none of the devices that the user asked for; None if it does."""
    if "jax" not in sys.modules:
        return None
    import jax

    try:
        jax.devices()
    except (AssertionError, RuntimeError) as error:
        asked = f"JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS', '')}"
        reason = f" ({error})" if str(error) else ""
        return f"{asked}: JAX finds no such device{reason}: unset JAX_PLATFORMS, or install JAX for this device"
    return None


def _report_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Print an unraisable exception as Python does by default, but ignore the error "Event loop is closed".

    This function is a value for `sys.unraisablehook`.
    """
    # Orbax closes its event loop when it cannot write an array. The callbacks of the other arrays then raise this
    # error, once each. It adds nothing to the error that Orbax raises.
    if str(unraisable.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(unraisable)


def _format_help(module: types.ModuleType, argv: Sequence[str]) -> str:
    """Return the help of a command: the docstring of its module, its flags, and the entries of the config in `argv`.

    Args:
      module: module of the command, which has defined its flags.
      argv: command line, as `config.resolve_overrides` returns it.
    """
    lines = [(module.__doc__ or "").strip(), ""]
    for flag in flags.FLAGS.get_key_flags_for_module(module):
        default = "" if flag.default in (None, "", []) else f" (default: {flag.default_as_str})"
        lines.append(f"  --{flag.name}: {flag.help}{default}")
    chosen = [word.partition("=")[2] for word in argv if word.startswith("--config=")]
    if chosen:
        lines += ["", *(f"  --config.{key}={value}" for key, value in config.entries(chosen[-1]).items())]
    return "\n".join(lines)


def _parse_flags(argv: Sequence[str]) -> list[str]:
    """Parse the flags of a command line with absl.

    Args:
      argv: name of the program, then all command-line arguments.

    Returns:
      The name of the program, then the arguments that are not flags.

    Raises:
      UserError: a flag is unknown or its value is invalid.
    """
    try:
        return flags.FLAGS(list(argv))
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        message = str(error.args[0] if error.args else error)
        raise UserError(message + hint_for_dashed_file(argv[1:])) from error


def hint_for_dashed_file(words: Sequence[str]) -> str:
    """Return a hint for an error message if an argument is an existing file whose name begins with a dash; else "".

    The hint says to write `./-in.wav` instead of `-in.wav`, which is parsed as an option.

    Args:
      words: command-line arguments.
    """
    names = [word for word in words if word.startswith("-") and Path(word).is_file()]
    return f"; to name the file {names[0]}, write ./{names[0]}" if names else ""


def _print_error(message: object) -> None:
    """Print an error message on stderr as one line."""
    print(f"error: {' '.join(str(message).split())}", file=sys.stderr)
