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

from specjax.engine import files
from specjax.errors import Refusal
from specjax.optim.knobs import Knob

FOLLOW_CONFIG = "config"  # the value that gives a knob back to its schedule
POLL_S = 0.5

log = logging.getLogger("specjax")


class Change(NamedTuple):
    """From update `step` (0 is the first) on, these knobs have these values; `request` names who asked."""

    step: int
    values: dict[str, str]
    request: str


def history_path(workdir: Path) -> Path:
    """Lines of changes in the order they were taken up. Copied into a fresh workdir, it is replayed there."""
    return workdir / "knobs.jsonl"


def requests_path(workdir: Path) -> Path:
    """Folder of requests that no run has taken up yet."""
    return workdir / "knob_requests"


def post(workdir: Path, values: Mapping[str, str], at_step: int | None) -> Path:
    """Ask the run in `workdir`, or the next one there, for new values; from the next dispatch on if `at_step` is None.

    Raises:
      Refusal: the folder cannot be written.
    """
    folder = requests_path(workdir)
    path = folder / f"{time.time_ns()}-{os.getpid()}.json"
    try:
        folder.mkdir(exist_ok=True)
        files.write_whole(path, json.dumps({"at_step": at_step, "values": dict(values)}).encode())
    except OSError as error:
        raise Refusal(f"{folder} cannot be written: {error.strerror}") from error
    return path


def check(values: Mapping[str, str], knobs: Mapping[str, Knob]) -> None:
    """Whether these knobs exist and take these values.

    Raises:
      Refusal: they do not; lists the choices.
    """
    for name, text in values.items():
        if name not in knobs:
            raise Refusal(f"{name!r} is no knob of this run: choose from {', '.join(knobs)}")
        try:
            if text != FOLLOW_CONFIG:
                knobs[name].read(text)
        except ValueError as error:
            raise Refusal(f"{name}: {error}, or {FOLLOW_CONFIG!r} to follow the config again") from error


def read_history(workdir: Path) -> list[Change]:
    """Changes taken up so far; a last line that a kill cut short was never used and is left out.

    Raises:
      Refusal: a line that no run wrote.
    """
    path = history_path(workdir)
    if not path.exists():
        return []
    *lines, rest = path.read_text(encoding="utf-8").split("\n")
    if rest:
        log.warning("%s: its last line is unfinished and was never used", path)
    return [_parse(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def read_requests(workdir: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Requests waiting, oldest first."""
    found = []
    for path in sorted(requests_path(workdir).glob("*.json")):
        try:
            request = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(request, dict):
                raise ValueError("no JSON object")
        except (OSError, ValueError) as error:
            log.warning("%s is not a request (%s): left alone", path, error)
            continue
        found.append((path, request))
    return found


class Changes:
    """The changes of one run, equal in all its processes; process 0 reads and writes the files."""

    def __init__(self, workdir: Path, knobs: Mapping[str, Knob], share_every: int) -> None:
        """Read what was changed before.

        Args:
          share_every: steps between two agreements, where there are several processes.
        """
        self._workdir, self._knobs, self._share_every = workdir, knobs, share_every
        self._first = jax.process_index() == 0
        self._polled = 0.0
        self.history = _shared(self._read() if self._first else [])

    def poll(self, step: int) -> bool:
        """Take up requests that arrived before update `step`; whether there were any."""
        if jax.process_count() == 1:
            if time.monotonic() - self._polled < POLL_S:
                return False
            self._polled = time.monotonic()
        elif step % self._share_every:
            return False
        new = _shared(self._take_up(step) if self._first else [])
        self.history += new
        return bool(new)

    def current(self, name: str, step: int) -> str | None:
        """What knob `name` was last set to before update `step` + 1; None where it follows the config."""
        return value_at(self.history, name, step)

    def _read(self) -> list[Change]:
        history = read_history(self._workdir)
        for change in history:
            check(change.values, self._knobs)
        path = history_path(self._workdir)
        if path.exists():
            files.write_whole(path, "".join(map(_line, history)).encode())
        return history

    def _take_up(self, step: int) -> list[Change]:
        known = {change.request for change in self.history}
        new = []
        for path, request in read_requests(self._workdir):
            try:
                values, at_step = request["values"], request["at_step"]
                check(values, self._knobs)
                change = Change(max(step, at_step or 0), values, path.stem)
            except (KeyError, TypeError, AttributeError, Refusal) as error:
                log.warning("%s is refused: %s", path, error)
                path.rename(path.with_suffix(".refused"))
                continue
            if path.stem not in known:
                _append_durably(history_path(self._workdir), _line(change))
                said = ", ".join(f"{name}={text}" for name, text in values.items())
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
        good = isinstance(change.step, int) and change.step >= 0 and isinstance(change.request, str)
        if not good or not all(isinstance(x, str) for pair in change.values.items() for x in pair):
            raise ValueError("not of the form of a change")
    except (TypeError, ValueError, AttributeError) as error:
        raise Refusal(f"{where} is not a change ({error}): mend the line, or take it out") from error
    return change


def _append_durably(path: Path, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
