"""Paths that a user types: a leading `~` is expanded, and remote addresses raise an error.

Without this check, `Path("gs://bucket/run")` would be the local folder `gs:/bucket/run`.
"""

import os
import re
from pathlib import Path
from typing import Literal

from specjax.cli.errors import UserError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def local_path(text: str | Path, flag: str = "", kind: Literal["file", "folder"] = "folder") -> Path:
    """Convert a path that a user typed to a `Path`, with a leading `~` or `~user` expanded as in a shell.

    Args:
      text: the path as typed; a `Path` is returned as it is.
      flag: option with which the user gave the path, such as `--workdir`; "" for a positional argument.
      kind: what the path should name, for the error message.

    Raises:
      UserError: `text` is a remote address such as `gs://bucket/run`, or begins with the name of an unknown user.
    """
    if isinstance(text, Path):
        return text
    check_local(text, flag, kind)
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise UserError(
            f"{text} is in the home of a user who is unknown or has none: write the whole path, or ./{text}"
        )
    return Path(expanded)


def check_local(text: str, flag: str, kind: Literal["file", "folder"] = "folder") -> None:
    """Check that a path that a user typed is not a remote address.

    Args:
      text: the path as typed.
      flag: option with which the user gave the path, such as `--workdir`; "" for a positional argument.
      kind: what the path should name, for the error message.

    Raises:
      UserError: `text` is a remote address such as `gs://bucket/run`.
    """
    if _ADDRESS.match(text):
        shown = f"{flag}={text}" if flag else text
        raise UserError(f"{shown} is a remote address: name a local {kind}")
