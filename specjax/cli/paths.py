"""Paths that a user types: `~` is expanded, remote addresses are errors.

Without this check `Path("gs://bucket/run")` would name the local folder `gs:/bucket/run`.
"""

import os
import re
from pathlib import Path
from typing import Literal

from specjax.cli.errors import UserError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def local_path(text: str, flag: str, kind: Literal["file", "folder"] = "folder") -> Path:
    """Return the path that a user typed, with a leading `~` or `~user` expanded as a shell does.

    Args:
      text: the path as typed.
      flag: option that names it, such as `--workdir`; empty for a positional argument.
      kind: what the path should name, for the error message.

    Raises:
      UserError: `text` is a remote address such as `gs://bucket/run`.
    """
    check_local(text, flag, kind)
    return Path(os.path.expanduser(text))


def check_local(text: str, flag: str, kind: Literal["file", "folder"] = "folder") -> None:
    """Raise `UserError` if `text` is a remote address; arguments as for `local_path`."""
    if _ADDRESS.match(text):
        shown = f"{flag}={text}" if flag else text
        raise UserError(f"{shown} is a remote address: name a local {kind}")
