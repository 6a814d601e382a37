"""Changes of live values while a run trains.

Anyone who can write to the workdir posts a request. The run accepts it between two dispatches: it writes the change and
its first step to the history, flushes that to disk, and only then uses the change. So a run that is killed replays each
change at the same step when it resumes, and ends with the same bits as a run that knew all changes from the start.
"""

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from specjax.cli import files
from specjax.cli.errors import UserError
from specjax.engine.live.value import LiveValue

FOLLOW_CONFIG = "config"  # text that returns a live value to its schedule
POLL_S = 0.5  # seconds between two looks for requests

log = logging.getLogger("specjax")


class Change(NamedTuple):
    """New values of live values, by name.

    step: first update to use them; the first update of a run is 0.
    values: texts as typed by the user, by the name of the live value.
    request: name of the request that asked for them.
    """

    step: int
    values: dict[str, str]
    request: str


class Request(NamedTuple):
    """Values asked for by a user.

    at_step: first update to use them; None means the next dispatch.
    values: texts as typed by the user, by the name of the live value.
    """

    at_step: int | None
    values: dict[str, str]


def history_path(workdir: Path) -> Path:
    """Return the path of the history: one JSON line per change, in the order in which they were accepted.

    A history that is copied into a new workdir is replayed there.
    """
    return workdir / "knobs.jsonl"


def requests_path(workdir: Path) -> Path:
    """Return the path of the folder of requests that no run has accepted yet."""
    return workdir / "knob_requests"


def post(workdir: Path, values: Mapping[str, str], at_step: int | None) -> Path:
    """Ask the run in `workdir`, or the next run there, for new values.

    Args:
      workdir: folder of the run.
      values: texts by the name of the live value.
      at_step: first update to use them; None means the next dispatch.

    Returns:
      Path of the request.

    Raises:
      UserError: the folder cannot be written.
    """
    folder = requests_path(workdir)
    path = folder / f"{time.time_ns()}-{os.getpid()}.json"
    try:
        folder.mkdir(exist_ok=True)
        files.write_atomic(path, json.dumps(Request(at_step, dict(values))._asdict()).encode())
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from error
    return path


def check(values: Mapping[str, str], live_values: Mapping[str, LiveValue]) -> None:
    """Check that the live values named by `values` exist and accept the given texts.

    Raises:
      UserError: they do not; the message lists the choices.
    """
    for name, text in values.items():
        if name not in live_values:
            raise UserError(f"{name!r} is not a live value of this run: choose from {', '.join(live_values)}")
        try:
            if text != FOLLOW_CONFIG:
                live_values[name].parse(text)
        except ValueError as error:
            raise UserError(f"{name}: {error}, or {FOLLOW_CONFIG!r} to follow the config again") from error


def read_history(workdir: Path) -> list[Change]:
    """Read the changes that were accepted so far.

    A last line without line end, written while the run was killed, was never used and is left out.

    Raises:
      UserError: a line is not a change.
    """
    path = history_path(workdir)
    if not path.exists():
        return []
    *lines, rest = path.read_text(encoding="utf-8").split("\n")
    if rest:
        log.warning("%s: its last line is incomplete and was never used", path)
    return [_parse_line(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def list_pending_requests(workdir: Path) -> list[Path]:
    """List the files of the requests that no run has accepted yet, oldest first."""
    return sorted(requests_path(workdir).glob("*.json"))


def read_request(path: Path) -> Request:
    """Read a request.

    Raises:
      UserError: the file cannot be read, or it is not a request.
    """
    try:
        request = Request(**json.loads(path.read_text(encoding="utf-8")))
        if request.at_step is not None and not _is_step(request.at_step):
            raise ValueError(f"at_step={request.at_step!r} is not a step, expected an integer of at least 0")
        _check_values(request.values)
    except (OSError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a request ({error}): post it by `specjax knobs`") from error
    return request


class Changes:
    """Changes of one run, equal in all its processes. Process 0 reads and writes the files."""

    def __init__(self, workdir: Path, live_values: Mapping[str, LiveValue], share_every: int) -> None:
        """Read the history.

        Args:
          workdir: folder of the run.
          live_values: what may be changed, by name.
          share_every: steps between two broadcasts of new changes, if there are several processes.

        Raises:
          UserError: the history has a line that is not a change of this run.
        """
        self._workdir, self._live_values, self._share_every = workdir, live_values, share_every
        self._is_first_process = jax.process_index() == 0
        self._last_poll = 0.0
        self.history = _broadcast_changes(self._read_own_history() if self._is_first_process else [])

    def poll(self, step: int) -> None:
        """Accept the requests that arrived before update `step`.

        A single process looks for requests every `POLL_S` seconds, several processes every `share_every` steps.
        """
        if jax.process_count() == 1:
            if time.monotonic() - self._last_poll < POLL_S:
                return
            self._last_poll = time.monotonic()
        elif step % self._share_every:
            return
        self.history += _broadcast_changes(self._accept_requests(step) if self._is_first_process else [])

    def _read_own_history(self) -> list[Change]:
        """Read and check the history, and drop an incomplete last line from its file."""
        history = read_history(self._workdir)
        path = history_path(self._workdir)
        for number, change in enumerate(history, 1):
            try:
                check(change.values, self._live_values)
            except UserError as error:
                raise UserError(f"{path}:{number}: {error}") from error
        if path.exists():
            files.write_atomic(path, "".join(map(_format_line, history)).encode())
        return history

    def _accept_requests(self, step: int) -> list[Change]:
        """Move the pending requests to the history, and rename unusable ones to `*.refused`.

        A request whose name is in the history already was accepted by a run that was killed before it removed the file.
        """
        known = {change.request for change in self.history}
        new = []
        for path in list_pending_requests(self._workdir):
            try:
                request = read_request(path)
                check(request.values, self._live_values)
            except UserError as error:
                log.warning("%s is ignored: %s", path, error)
                path.rename(path.with_suffix(".refused"))
                continue
            change = Change(max(step, request.at_step or 0), request.values, path.stem)
            if path.stem not in known:
                _append_and_sync(history_path(self._workdir), _format_line(change))
                assignments = ", ".join(f"{name}={text}" for name, text in change.values.items())
                log.info("from step %d on: %s", change.step, assignments)
                new.append(change)
            path.unlink()
        return new


def find_value(history: Sequence[Change], name: str, step: int) -> str | None:
    """Find the text of the live value `name` in force for update `step`, or None if it follows its schedule.

    Of the changes that have begun, the one with the latest first step counts; of equal ones, the last in the history.
    """
    begun = [change for change in history if change.step <= step and name in change.values]
    if not begun:
        return None
    text = max(enumerate(begun), key=lambda numbered: (numbered[1].step, numbered[0]))[1].values[name]
    return None if text == FOLLOW_CONFIG else text


def _broadcast_changes(changes: list[Change]) -> list[Change]:
    """Return process 0's list in every process."""
    if jax.process_count() == 1:
        return changes
    text = np.frombuffer("".join(map(_format_line, changes)).encode(), np.uint8)
    count = int(multihost_utils.broadcast_one_to_all(np.asarray(len(text))))
    if not count:
        return []
    sent = text if jax.process_index() == 0 else np.zeros(count, np.uint8)
    lines = bytes(np.asarray(multihost_utils.broadcast_one_to_all(sent))).decode().splitlines()
    return [_parse_line(line, "process 0") for line in lines]


def _format_line(change: Change) -> str:
    """Format a change as a line of the history."""
    return json.dumps(change._asdict()) + "\n"


def _parse_line(line: str, where: str) -> Change:
    """Parse a line of the history; `where` is its place in error messages.

    Raises:
      UserError: it is not a change.
    """
    try:
        change = Change(**json.loads(line))
        if not (_is_step(change.step) and isinstance(change.request, str)):
            raise ValueError("step must be an integer of at least 0, and request a text")
        _check_values(change.values)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where} is not a change ({error}): correct the line, or remove it") from error
    return change


def _check_values(values: Any) -> None:
    """Check that `values` maps names to texts.

    Raises:
      ValueError: it does not.
    """
    if not isinstance(values, dict) or not all(isinstance(x, str) for pair in values.items() for x in pair):
        raise ValueError("values must map names to texts")


def _is_step(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _append_and_sync(path: Path, text: str) -> None:
    """Append text to a file, and wait until it is on disk."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
