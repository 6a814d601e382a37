"""Changes of live values (settings such as loss weights) while a run trains.

Anyone who can write to the working directory can post a request there, which is a file. The run accepts it between two
calls of the compiled update program. It appends the change, with the first step that uses it, to the history file and
flushes that file to disk. Only then does it use the change. A run that is killed and resumed therefore applies each
change at the same step again. It ends with the same bits as a run that knew all changes from the start.
"""

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from specjax.cli import files
from specjax.cli.config import MAX_JSON_BYTES, parse_json
from specjax.cli.errors import UserError
from specjax.engine import legacy
from specjax.engine.live.value import LiveValue

FOLLOW_CONFIG = "config"  # text with which a user makes a live value follow its schedule again
POLL_S = 0.5  # seconds between two searches for new requests

log = logging.getLogger("specjax")


class Change(NamedTuple):
    """An accepted change of live values, which are settings that may be changed while training runs.

    step: first update that uses the new values; updates are counted from 0.
    values: new values, as text that the user typed, by name of the live value.
    request: name of the request that caused the change.
    """

    step: int
    values: dict[str, str]
    request: str


class Request(NamedTuple):
    """A request by a user to change live values, which are settings that may be changed while training runs.

    at_step: first update that uses the new values; None means as soon as the run accepts the request.
    values: new values, as text that the user typed, by name of the live value.
    """

    at_step: int | None
    values: dict[str, str]


def history_path(workdir: Path) -> Path:
    """Return the path of the history file, which holds all accepted changes of a run.

    Each line is the JSON of one change; lines are in the order of acceptance. If the file is copied into a new working
    directory, the run there applies the same changes at the same steps.
    """
    return workdir / "knobs.jsonl"


def requests_path(workdir: Path) -> Path:
    """Return the path of the folder of pending requests in the working directory of a run."""
    return workdir / "knob_requests"


def post(workdir: Path, values: Mapping[str, str], at_step: int | None) -> Path:
    """Post a request to change live values (settings that may be changed while training runs) of the run in `workdir`.

    If no run is active there, the next one that starts accepts the request.

    Args:
      workdir: working directory of the run.
      values: new values as text, by name of the live value.
      at_step: first update that uses the new values; None means as soon as the run accepts the request.

    Returns:
      Path of the request file.

    Raises:
      UserError: the folder of requests cannot be written.
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
    """Check a user's new values for live values, which are settings that may be changed while training runs.

    A new value is valid if the `parse` function of the live value accepts the text. The text `config` is always
    valid, and makes the live value follow its schedule again.

    Args:
      values: new values as text, by name of the live value.
      live_values: live values of the run, by name.

    Raises:
      UserError: a name is unknown, or a new value is invalid. The message says what would be valid.
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
    """Read all changes of live values (settings that may be changed while training runs) that a run has accepted.

    The history file in the working directory has one line for each change. A last line without a line end is ignored:
    the run was killed while writing it, and never used it.

    Args:
      workdir: working directory of the run.

    Returns:
      The changes, in the order in which the run accepted them.

    Raises:
      UserError: a complete line does not hold a change.
    """
    path = history_path(workdir)
    if not path.exists():
        return []
    try:
        *lines, rest = files.read_regular(path).split(b"\n")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): fix that, or remove it") from error
    if rest:
        log.warning("%s: its last line is incomplete and was never used", path)
    return [_parse_line(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def list_pending_requests(workdir: Path) -> list[Path]:
    """Return the paths of the request files that the run in `workdir` has not accepted yet, oldest first.

    Each file holds a user's request to change live values, which are settings that may be changed while training runs.
    """
    return sorted(requests_path(workdir).glob("*.json"))


def read_request(path: Path) -> Request:
    """Read a user's request to change live values (settings that may be changed while training runs).

    Raises:
      UserError: the file cannot be read, or does not hold a request.
    """
    try:
        request = Request(**parse_json(files.read_regular(path, MAX_JSON_BYTES)))
        if request.at_step is not None and not _is_step(request.at_step):
            raise ValueError(f"at_step={request.at_step!r} is not a step, expected an integer of at least 0")
        _check_values(request.values)
    except (OSError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a request ({error}): post it by `specjax knobs`") from error
    return request


class Changes:
    """Accepted changes of live values (settings that may be changed while training runs) in one run.

    They are equal in all processes of the run. Only process 0 reads and writes the files.
    """

    def __init__(self, workdir: Path, live_values: Mapping[str, LiveValue], share_every: int) -> None:
        """Read the history file, which holds all changes that the run has accepted so far.

        Args:
          workdir: working directory of the run.
          live_values: settings that may be changed, by name.
          share_every: number of steps between two broadcasts of new changes; only used with several processes.

        Raises:
          UserError: a line of the history file is not a change, names an unknown setting, or has an invalid value.
        """
        self._workdir, self._live_values, self._share_every = workdir, live_values, share_every
        self._is_first_process = jax.process_index() == 0
        self._last_poll = 0.0
        self._next_share = 0
        self.history = _broadcast_changes(self._read_own_history() if self._is_first_process else [])

    def poll(self, step: int) -> None:
        """Accept posted requests to change live values, which are settings that may be changed while training runs.

        The changes take effect at update `step`, or at `Request.at_step` if that is later.

        In a run with one process, a call does nothing if the last search for requests was less than `POLL_S` seconds
        ago. In a run with several processes, all processes must call this method at the same steps. A call does nothing
        until `share_every` steps after the last one that did something.
        """
        if jax.process_count() == 1:
            if time.monotonic() - self._last_poll < POLL_S:
                return
            self._last_poll = time.monotonic()
        elif step < self._next_share:
            return
        else:
            self._next_share = step + self._share_every
        self.history += _broadcast_changes(self._accept_requests(step) if self._is_first_process else [])

    def _read_own_history(self) -> list[Change]:
        """Read and check the history file, and remove an incomplete last line from it.

        The file holds the accepted changes of live values, which are settings that may be changed while training runs.

        Raises:
          UserError: a complete line does not hold a change, or changes an unknown live value, or has a text that this
            live value cannot parse.
        """
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
        """Accept all waiting requests to change live values (settings that may be changed while training runs).

        Each accepted request is appended to the history file. Then the request file is deleted. The file of an invalid
        request is renamed to `*.invalid`.

        Args:
          step: earliest update at which the changes take effect.

        Returns:
          The newly accepted changes.
        """
        known = {change.request for change in self.history}
        new = []
        for path in list_pending_requests(self._workdir):
            try:
                request = read_request(path)
                check(request.values, self._live_values)
            except UserError as error:
                log.warning("%s is ignored: %s", path, error)
                with suppress(FileNotFoundError):  # the user may have deleted it
                    path.rename(path.with_suffix(".invalid"))
                continue
            change = Change(max(step, request.at_step or 0), request.values, path.stem)
            # A known request was accepted before the run was killed. Only the deletion of its file is left to do.
            if path.stem not in known:
                _append_and_sync(history_path(self._workdir), _format_line(change))
                assignments = ", ".join(f"{name}={text}" for name, text in change.values.items())
                log.info("from step %d on: %s", change.step, assignments)
                new.append(change)
            path.unlink(missing_ok=True)
        return new


def find_value(history: Sequence[Change], name: str, step: int) -> str | None:
    """Find the change of a live value that applies at one update, and return the new value as text.

    A live value is a setting that follows a schedule until the user changes it. Each change begins at an update
    (`Change.step`), and applies until the next change of the same live value begins. If two changes begin at the same
    update, the one accepted last applies.

    Args:
      history: accepted changes, in the order of acceptance.
      name: name of the live value.
      step: number of the update, from 0.

    Returns:
      New value as the user typed it. None if the live value follows its schedule at this update.
    """
    begun = [change for change in history if change.step <= step and name in change.values]
    if not begun:
        return None
    text = max(enumerate(begun), key=lambda numbered: (numbered[1].step, numbered[0]))[1].values[name]
    return None if text == FOLLOW_CONFIG else text


def _broadcast_changes(changes: list[Change]) -> list[Change]:
    """Send a list of changes from process 0 to all processes, and return it in each.

    Args:
      changes: the list in process 0; ignored in all other processes.
    """
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
    """Format an accepted change as one line of JSON, with a line end, for the history file of a run."""
    return json.dumps(change._asdict()) + "\n"


def _parse_line(line: str | bytes, where: str) -> Change:
    """Parse one line of a run's history file, which lists the accepted changes of live values.

    Live values are settings that may be changed while training runs. Their names in version 0.1 are converted to the
    current ones.

    Args:
      line: JSON of one change.
      where: location of the line, for error messages.

    Raises:
      UserError: the line does not hold a change.
    """
    try:
        change = Change(**parse_json(line))
        if not (_is_step(change.step) and isinstance(change.request, str)):
            raise ValueError("step must be an integer of at least 0, and request a text")
        _check_values(change.values)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where} is not a change ({error}): correct the line, or remove it") from error
    return change._replace(values=legacy.upgrade_names(change.values))


def _check_values(values: Any) -> None:
    """Check that `values` is a dict with only strings as keys and values.

    Raises:
      ValueError: it is anything else.
    """
    if not isinstance(values, dict) or not all(isinstance(x, str) for pair in values.items() for x in pair):
        raise ValueError("values must map names to texts")


def _is_step(value: Any) -> bool:
    """Return whether `value` is an integer of at least 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _append_and_sync(path: Path, text: str) -> None:
    """Append text to a file, and return when it is on disk."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
