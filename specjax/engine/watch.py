"""Who holds a workdir, and whether someone asked the run to stop."""

import fcntl
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType

from specjax.errors import Refusal


class WorkdirLock:
    """A lock on a workdir, held while this object lives.

    The kernel drops it when its holder dies, so that a killed run never blocks its successor.
    """

    def __init__(self, workdir: Path) -> None:
        """Take the lock.

        Raises:
          Refusal: another run holds it (names host, process and start), or the folder cannot be written.
        """
        path = workdir / "lock.json"
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a+")  # noqa: SIM115 - the open file is the lock
        except OSError as error:
            raise Refusal(f"workdir {workdir} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "an unknown process"
            self._file.close()
            raise Refusal(f"workdir {workdir} is in use by {holder}: wait for it or name another --workdir") from error
        self._file.truncate(0)
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}
        self._file.write(json.dumps(holder))
        self._file.flush()

    def release(self) -> None:
        self._file.close()


class StopRequest:
    """Set by SIGTERM, SIGINT or SIGUSR1, so that the loop can save and leave. A second signal leaves at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number
        sys.stderr.write(f"\n{signal.Signals(number).name}: saving, then leaving; once more leaves at once\n")
