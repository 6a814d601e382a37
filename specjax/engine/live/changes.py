"""Changes of a run's knobs while it trains.

Anyone who can write to the workdir posts a request; the run takes it up between two dispatches, writes down from
which step on it holds, makes that durable, and only then uses it. A run that is killed therefore replays each change
at its own step, and ends with the bits of a run in which the changes were known from the start.
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

FOLLOW_CONFIG = "config"  # the value that gives a knob back to its schedule
POLL_S = 0.5

log = logging.getLogger("specjax")


class Change(NamedTuple):
    """From update `step` (0 is the first) on, these knobs have these values; `request` names who asked."""

    step: int
    values: dict[str, str]
    request: str


class Request(NamedTuple):
    """Values asked for, from update `at_step` on or, if that is None, from the next dispatch on."""

    at_step: int | None
    values: dict[str, str]


def history_path(workdir: Path) -> Path:
    """Lines of changes in the order they were taken up. Copied into a fresh workdir, it is replayed there."""
    return workdir / "knobs.jsonl"


def requests_path(workdir: Path) -> Path:
    """Folder of requests that no run has taken up yet."""
    return workdir / "knob_requests"


def post(workdir: Path, values: Mapping[str, str], at_step: int | None) -> Path:
    """Ask the run in `workdir`, or the next one there, for new values; from the next dispatch on if `at_step` is None.

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


def check(values: Mapping[str, str], knobs: Mapping[str, LiveValue]) -> None:
    """Whether these knobs exist and take these values.

    Raises:
      UserError: they do not; lists the choices.
    """
    for name, text in values.items():
        if name not in knobs:
            raise UserError(f"{name!r} is no knob of this run: choose from {', '.join(knobs)}")
        try:
            if text != FOLLOW_CONFIG:
                knobs[name].read(text)
        except ValueError as error:
            raise UserError(f"{name}: {error}, or {FOLLOW_CONFIG!r} to follow the config again") from error


def read_history(workdir: Path) -> list[Change]:
    """Changes taken up so far; a last line that a kill cut short was never used and is left out.

    Raises:
      UserError: a line that no run wrote.
    """
    path = history_path(workdir)
    if not path.exists():
        return []
    *lines, rest = path.read_text(encoding="utf-8").split("\n")
    if rest:
        log.warning("%s: its last line is unfinished and was never used", path)
    return [_parse(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def waiting(workdir: Path) -> list[Path]:
    """Files of the requests that no run has taken up yet, oldest first."""
    return sorted(requests_path(workdir).glob("*.json"))


def read_request(path: Path) -> Request:
    """What a file asks for.

    Raises:
      UserError: it cannot be read, or nobody posted it.
    """
    try:
        request = Request(**json.loads(path.read_text(encoding="utf-8")))
        if request.at_step is not None and not _is_step(request.at_step):
            raise ValueError(f"at_step={request.at_step!r} is not a step")
        _check_form(request.values)
    except (OSError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a request ({error})") from error
    return request


class Changes:
    """The changes of one run, equal in all its processes; process 0 reads and writes the files."""

    def __init__(self, workdir: Path, knobs: Mapping[str, LiveValue], share_every: int) -> None:
        """Read what was changed before.

        Args:
          share_every: steps between two agreements, where there are several processes.
        """
        self._workdir, self._knobs, self._share_every = workdir, knobs, share_every
        self._first = jax.process_index() == 0
        self._polled = 0.0
        self.history = _shared(self._read() if self._first else [])

    def poll(self, step: int) -> None:
        """Take up requests that arrived before update `step`."""
        if jax.process_count() == 1:
            if time.monotonic() - self._polled < POLL_S:
                return
            self._polled = time.monotonic()
        elif step % self._share_every:
            return
        self.history += _shared(self._take_up(step) if self._first else [])

    def _read(self) -> list[Change]:
        history = read_history(self._workdir)
        path = history_path(self._workdir)
        for number, change in enumerate(history, 1):
            try:
                check(change.values, self._knobs)
            except UserError as error:
                raise UserError(f"{path}:{number}: {error}") from error
        if path.exists():
            files.write_atomic(path, "".join(map(_line, history)).encode())
        return history

    def _take_up(self, step: int) -> list[Change]:
        known = {change.request for change in self.history}
        new = []
        for path in waiting(self._workdir):
            try:
                request = read_request(path)
                check(request.values, self._knobs)
            except UserError as error:
                log.warning("%s is refused: %s", path, error)
                path.rename(path.with_suffix(".refused"))
                continue
            change = Change(max(step, request.at_step or 0), request.values, path.stem)
            if path.stem not in known:
                _append_durably(history_path(self._workdir), _line(change))
                said = ", ".join(f"{name}={text}" for name, text in change.values.items())
                log.info("from step %d on: %s", change.step, said)
                new.append(change)
            path.unlink()
        return new


def value_at(history: Sequence[Change], name: str, step: int) -> str | None:
    """The value in force for update `step`: of those that have begun, the one that began last."""
    begun = [change for change in history if change.step <= step and name in change.values]
    if not begun:
        return None
    text = max(enumerate(begun), key=lambda numbered: (numbered[1].step, numbered[0]))[1].values[name]
    return None if text == FOLLOW_CONFIG else text


def _shared(changes: list[Change]) -> list[Change]:
    """Process 0's list, in every process."""
    if jax.process_count() == 1:
        return changes
    text = np.frombuffer("".join(map(_line, changes)).encode(), np.uint8)
    count = int(multihost_utils.broadcast_one_to_all(np.asarray(len(text))))
    if not count:
        return []
    sent = text if jax.process_index() == 0 else np.zeros(count, np.uint8)
    lines = bytes(np.asarray(multihost_utils.broadcast_one_to_all(sent))).decode().splitlines()
    return [_parse(line, "process 0") for line in lines]


def _line(change: Change) -> str:
    return json.dumps(change._asdict()) + "\n"


def _parse(line: str, where: str) -> Change:
    try:
        change = Change(**json.loads(line))
        if not (_is_step(change.step) and isinstance(change.request, str)):
            raise ValueError("its step or its request is of another kind")
        _check_form(change.values)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where} is not a change ({error}): mend the line, or take it out") from error
    return change


def _check_form(values: Any) -> None:
    """ValueError unless `values` maps names to what a person types."""
    if not isinstance(values, dict) or not all(isinstance(x, str) for pair in values.items() for x in pair):
        raise ValueError("its values are no texts by name")


def _is_step(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _append_durably(path: Path, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
