"""The lock on the working directory of a run, and the handlers of the signals that stop a run."""

import fcntl
import io
import json
import os
import signal
import socket
import time
from pathlib import Path
from types import FrameType

import jax
from jax.experimental import multihost_utils

from specjax.cli.errors import UserError

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class WorkdirLock:
    """Exclusive lock on a working directory, held until `release` is called or this object is deleted.

    The lock is an `flock` on the file `lock.json`. The kernel releases it when the process that holds it dies, so a
    killed run never blocks the next one.
    """

    def __init__(self, workdir: Path) -> None:
        """Lock `workdir`, creating the folder if necessary.

        Raises:
          UserError: another run holds the lock (the message gives its host, process id and start time), or the folder
            cannot be written.
        """
        path = workdir / "lock.json"
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            self._file = io.FileIO(path, "a+")  # closing it releases the lock
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
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}
        try:
            self._file.truncate(0)
            self._file.write(json.dumps(holder).encode())
        except OSError as error:
            self._file.close()
            raise UserError(f"workdir {workdir} cannot be written: {error.strerror}") from error

    def release(self) -> None:
        """Release the lock."""
        self._file.close()


class StopRequest:
    """Signal handlers that let a user or a scheduler stop a run.

    The first SIGTERM, SIGINT or SIGUSR1 makes the training loop save and exit. A second signal exits immediately. With
    several processes, JAX's distributed service broadcasts SIGTERM, and all processes stop before the same step.
    """

    def __init__(self) -> None:
        """Install the signal handlers.

        A single process handles SIGTERM, SIGINT and SIGUSR1. With several processes, JAX's distributed service handles
        SIGTERM, and each process passes on SIGINT and SIGUSR1 as SIGTERM.
        """
        self._signal: int | None = None
        self._calls = 0
        self._passed_on = False
        self._multiprocess = jax.process_count() > 1
        for number in (signal.SIGINT, signal.SIGUSR1) if self._multiprocess else (*STOP_SIGNALS,):
            signal.signal(number, self._handle)

    def should_stop(self, step: int) -> bool:
        """Return whether training should stop before update `step`, because a signal has arrived.

        With several processes, every process must make the same sequence of calls. The processes then get the same
        results.
        """
        if self._multiprocess and self._signal is None:
            # JAX agrees on a number that follows the greatest one seen. Calls are counted, because the steps between
            # dispatches of many updates would skip that number.
            if multihost_utils.reached_preemption_sync_point(self._calls):
                self._signal = signal.SIGTERM
            self._calls += 1
        return self._signal is not None

    @property
    def exit_status(self) -> int:
        """Exit status of the process: 128 plus the number of the signal that stopped the run; 0 if none did."""
        return 0 if self._signal is None else 128 + self._signal

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a stop signal: request a stop at the first one, and exit at once at a later one."""
        if self._signal is not None or self._passed_on:
            os._exit(128 + number)
        if self._multiprocess:
            self._passed_on = True
            os.kill(os.getpid(), signal.SIGTERM)  # JAX's distributed service broadcasts it
            return
        self._signal = number
        message = f"\n{signal.Signals(number).name}: saving, then exiting; send it again to exit immediately\n"
        os.write(2, message.encode())  # `sys.stderr` may be in the middle of a write, and is not reentrant
