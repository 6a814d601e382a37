"""The lock on a workdir, and the signals that ask a run to stop."""

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
    """Lock on a workdir, held until `release` or until this object is deleted.

    It is an `flock` on `lock.json`. The kernel drops it when its holder dies, so a killed run never blocks the
    next one.
    """

    def __init__(self, workdir: Path) -> None:
        """Take the lock, making the folder if necessary.

        Raises:
          UserError: another run holds the lock (the message names its host, process and start), or the folder cannot
            be written.
        """
        path = workdir / "lock.json"
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            self._file = io.FileIO(path, "a+")  # unlocked when closed
        except OSError as error:
            raise UserError(f"workdir {workdir} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            other = self._file.read().decode(errors="replace").strip() or "an unknown process"
            self._file.close()
            raise UserError(
                f"workdir {workdir} is in use by {other}: wait for it, or name another --workdir"
            ) from error
        self._file.truncate(0)
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}
        self._file.write(json.dumps(holder).encode())

    def release(self) -> None:
        """Give up the lock."""
        self._file.close()


class StopRequest:
    """Signal handlers that ask the training loop to save and exit.

    The first SIGTERM, SIGINT or SIGUSR1 makes the loop save and exit. A second signal exits immediately. With several
    processes, JAX's distributed service broadcasts SIGTERM, so that all processes exit after the same step.
    """

    def __init__(self) -> None:
        """Install the signal handlers."""
        self._signal: int | None = None
        self._multiprocess = jax.process_count() > 1
        for number in (signal.SIGINT, signal.SIGUSR1) if self._multiprocess else (*STOP_SIGNALS,):
            signal.signal(number, self._handle)

    def should_stop(self, step: int) -> bool:
        """Return whether to stop before `step`."""
        if self._multiprocess and self._signal is None and multihost_utils.reached_preemption_sync_point(step):
            self._signal = signal.SIGTERM
        return self._signal is not None

    @property
    def exit_status(self) -> int:
        """128 + the number of the signal that stopped the run; 0 if none did."""
        return 0 if self._signal is None else 128 + self._signal

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            os._exit(128 + number)
        if self._multiprocess:
            os.kill(os.getpid(), signal.SIGTERM)  # the signal that the service broadcasts
            return
        self._signal = number
        sys.stderr.write(f"\n{signal.Signals(number).name}: saving, then exiting; send it again to exit immediately\n")
