"""Who holds a workdir, and whether someone asked the run to stop."""

import fcntl
import io
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType

import jax
from jax.experimental import multihost_utils

from specjax.cli.errors import UserError

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class WorkdirLock:
    """A lock on a workdir, held while this object lives.

    The kernel drops it when its holder dies, so that a killed run never blocks its successor.
    """

    def __init__(self, workdir: Path) -> None:
        """Take the lock.

        Raises:
          UserError: another run holds it (names host, process and start), or the folder cannot be written.
        """
        path = workdir / "lock.json"
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            self._file = io.FileIO(path, "a+")  # the open file is the lock
        except OSError as error:
            raise UserError(f"workdir {workdir} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            other = self._file.read().decode(errors="replace").strip() or "an unknown process"
            self._file.close()
            raise UserError(f"workdir {workdir} is in use by {other}: wait for it or name another --workdir") from error
        self._file.truncate(0)
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}
        self._file.write(json.dumps(holder).encode())

    def release(self) -> None:
        self._file.close()


class StopRequest:
    """SIGTERM, SIGINT or SIGUSR1 ask the loop to save and leave. A second signal leaves at once.

    On several processes JAX's own service spreads SIGTERM, so that all of them leave after the same step.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._shared = jax.process_count() > 1
        for number in (signal.SIGINT, signal.SIGUSR1) if self._shared else (*STOP_SIGNALS,):
            signal.signal(number, self._handle)

    def reached(self, step: int) -> bool:
        """Whether to stop before `step`."""
        if self._shared and self._signal is None and multihost_utils.reached_preemption_sync_point(step):
            self._signal = signal.SIGTERM
        return self._signal is not None

    @property
    def exit_status(self) -> int:
        """128 + the signal that stopped the run; 0 if none did."""
        return 0 if self._signal is None else 128 + self._signal

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            os._exit(128 + number)
        if self._shared:
            os.kill(os.getpid(), signal.SIGTERM)  # the one that the service spreads
            return
        self._signal = number
        sys.stderr.write(f"\n{signal.Signals(number).name}: saving, then leaving; once more leaves at once\n")
