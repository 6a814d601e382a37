"""Reading of many files, of which some may be bad: progress, and a limit to how many are skipped."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from specjax.cli.errors import UserError

REPORT_S = 10.0  # seconds between two lines about the progress

_log = logging.getLogger("specjax")

Item = TypeVar("Item")


def log_progress(items: Iterable[Item], total: int, done: str) -> Iterator[Item]:
    """Iterate over items, and log every 10 s how many have been used.

    Args:
      items: items, such as files to read.
      total: their number.
      done: what is done, such as `sound files read`.
    """
    reported = time.monotonic()
    for i, item in enumerate(items):
        if time.monotonic() - reported >= REPORT_S:
            reported = time.monotonic()
            _log.info("%d of %d %s", i, total, done)
        yield item


class SkippedFiles:
    """Bad files, which are skipped unless there are too many.

    Attributes:
      reasons: for each bad file the error message that says why, by the number of the file.
    """

    reasons: dict[int, str]

    def __init__(self, total: int, kind: str, max_share: float, option: str = "max_bad_share") -> None:
        """Begin with no bad files.

        Args:
          total: number of all files.
          kind: what they are, a plural, for error messages.
          max_share: largest fraction of bad files to accept, 0 to 1.
          option: name of the setting of `max_share`, for the error message.
        """
        self.reasons = {}
        self._total, self._kind, self._max_share, self._option = total, kind, max_share, option

    def add(self, number: int, error: UserError) -> None:
        """Skip a bad file.

        Raises:
          UserError: too many files are bad. The message includes the error of the first one.
        """
        self.reasons[number] = str(error)
        if len(self.reasons) > self._max_share * self._total:
            raise UserError(
                f"{len(self.reasons)} of {self._total} {self._kind} cannot be used, more than {self._option}="
                f"{self._max_share:g}; the first: {self._first}"
            ) from error

    def report(self) -> None:
        """Log a warning for each bad file, when all files have been read.

        Raises:
          UserError: all files are bad.
        """
        if len(self.reasons) == self._total:
            raise UserError(f"none of {self._total} {self._kind} can be used; the first: {self._first}")
        for reason in self.reasons.values():
            _log.warning("skipped: %s", reason)

    @property
    def _first(self) -> str:
        return next(iter(self.reasons.values()))
