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

from absl import app, flags
from absl import logging as absl_logging

from specjax import config, files
from specjax.errors import Refusal

USAGE = 2
_STOPS = (signal.SIGINT, signal.SIGTERM)
_kept: list[socket.socket] = []  # open for as long as the process lives


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Parse flags and run `main`; a refusal is one line on stderr and exit status 2.

    A `main` whose module defines `POSITIONAL` takes so many words that are not flags.
    """
    positional = getattr(sys.modules[main.__module__], "POSITIONAL", 0)
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("specjax").setLevel(logging.INFO)
    sys.unraisablehook = _complain_of_the_unexpected
    absl_logging.set_verbosity(absl_logging.FATAL)  # what goes wrong in a library is raised too, and said in one line
    try:
        app.run(_refusing(main, positional), argv=config.resolve_argv(sys.argv), flags_parser=_parse_flags)
    except Refusal as refusal:
        _complain(refusal)
        sys.exit(USAGE)


def need(package: str, what: str, *, extra: str) -> None:
    """Refuse `what` where the package that it needs, one of the named extra, is absent."""
    if not importlib.util.find_spec(package):
        raise Refusal(f"{what} needs {package}: pip install 'specjax[{extra}]'")


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
    for number in _STOPS:
        signal.signal(number, lambda *_: None)

    def leave() -> None:
        while (number := heard.recv(1)[0]) not in _STOPS:
            pass
        try:
            files.remove_unfinished()
        finally:
            os._exit(128 + number)

    threading.Thread(target=leave, daemon=True).start()
    _kept.append(told)


def _refusing(main: Callable[[Sequence[str]], None], positional: int) -> Callable[[Sequence[str]], int]:
    def wrapped(argv: Sequence[str]) -> int:
        if len(argv) > 1 + positional:
            _complain(f"{argv[1 + positional]!r} is not understood: flags begin with --")
            return USAGE
        try:
            main(argv)
        except Refusal as refusal:
            _complain(refusal)
            return USAGE
        except KeyboardInterrupt:
            return 130
        return 0

    return wrapped


def _complain_of_the_unexpected(unraisable: "sys.UnraisableHookArgs") -> None:
    # Orbax closes its event loop at the first array it cannot write; callbacks of the others then each say so.
    if str(unraisable.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(unraisable)


def _parse_flags(argv: Sequence[str]) -> list[str]:
    config.check_overrides(argv)
    try:
        return flags.FLAGS(["--help" if word == "-h" else word for word in argv])
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        said = str(error.args[0] if error.args else error)
        if names := [word for word in argv[1:] if word.startswith("-") and Path(word).is_file()]:
            said += f"; the file of that name is to be called ./{names[0]}"
        raise Refusal(said) from error


def _complain(message: object) -> None:
    line = " ".join(str(message).split())
    # Names of files and of what is in them may come from strangers, and terminals obey control characters.
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    sys.stderr.write(f"error: {shown}\n")
