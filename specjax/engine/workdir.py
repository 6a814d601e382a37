"""The lock on the working directory of a run, and the handlers of the signals that stop a run."""

import errno
import fcntl
import io
import json
import os
import signal
import socket
import stat
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

import jax
from jax.experimental import multihost_utils

from specjax.cli.errors import UserError

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
_IN_USE = (errno.EWOULDBLOCK, errno.EACCES)  # other errors mean that the file system has no locks


class WorkdirLock:
    """Exclusive lock on a working directory, held until `release` is called or this object is deleted.

    The lock is an `flock` on the file `lock.json`. The kernel releases it when the process that holds it dies, so a
    killed run never blocks the next one.
    """

    def __init__(self, workdir: Path, *, needs_flock: bool = True) -> None:
        """Lock `workdir`, creating the folder if necessary.

        Args:
          workdir: the working directory.
          needs_flock: whether a file system without locks is an error. If not, the user makes sure that no other run
            uses the working directory.

        Raises:
          UserError: another run holds the lock (the message gives its host, process id and start time), the folder
            cannot be written, `lock.json` is not a regular file, or the file system has no locks.
        """
        self._path = workdir / "lock.json"
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            self._file = io.FileIO(_open_regular(self._path), "r+")  # closing it releases the lock
        except OSError as error:
            raise UserError(f"workdir {workdir} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _IN_USE:
                other = self._file.read().decode(errors="replace").strip() or "an unknown process"
                self._file.close()
                raise UserError(
                    f"workdir {workdir} is in use by {other}: wait for it, or name another --workdir"
                ) from error
            if needs_flock:
                self._file.close()
                raise UserError(
                    f"workdir {workdir} is on a file system without locks ({error.strerror}): name a --workdir on "
                    "another one, or add --nolock and let no other run use it"
                ) from error
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}
        try:
            self._file.truncate(0)
            self._file.write(json.dumps(holder).encode())
        except OSError as error:
            self._file.close()
            raise UserError(f"workdir {workdir} cannot be written: {error.strerror}") from error

    def check(self) -> None:
        """Check that `lock.json` is still the file that is locked. If it is not, another run may lock the new one.

        If the file system cannot tell, as during a short failure of a network file system, nothing is checked.

        Raises:
          UserError: the file was removed or replaced.
        """
        try:
            same = os.path.samestat(os.lstat(self._path), os.fstat(self._file.fileno()))
        except OSError as error:
            same = error.errno != errno.ENOENT
        if not same:
            raise UserError(
                f"{self._path} was removed or replaced while this run held it: let no other run use this workdir, then "
                "run the same command again; it resumes from the last checkpoint"
            )

    def release(self) -> None:
        """Release the lock."""
        self._file.close()


def _open_regular(path: Path) -> int:
    """Open a file for reading and writing, creating it if necessary, and return its file descriptor.

    Raises:
      OSError: it is a symbolic link, which may lead to a file of somebody else, or not a regular file.
    """
    try:
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, f"{path.name} is a symbolic link, which you should remove") from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, f"{path.name} is not a regular file; remove it")
    return handle


class StopRequest:
    """Signal handlers that let a user or a scheduler stop a run.

    The first SIGTERM, SIGINT, SIGUSR1 or SIGHUP makes the training loop save and exit. A second signal exits
    immediately. With several processes, JAX's distributed service broadcasts SIGTERM, and all processes stop before the
    same step.
    """

    def __init__(self, lock: WorkdirLock | None = None) -> None:
        """Install the signal handlers.

        A single process handles all these signals. With several processes, JAX's distributed service handles SIGTERM,
        and each process passes on the others as SIGTERM. A SIGHUP that `nohup` has disabled stays disabled.

        Args:
          lock: lock that this process must still hold whenever it begins an update.
        """
        self._lock = lock
        self._signal: int | None = None
        self._calls = 0
        self._passed_on = False
        self._multiprocess = jax.process_count() > 1
        for number in STOP_SIGNALS:
            disabled = number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN
            if not disabled and not (self._multiprocess and number == signal.SIGTERM):
                signal.signal(number, self._handle)

    def should_stop(self, step: int) -> bool:
        """Return whether training should stop before update `step`, because a signal has arrived.

        With several processes, every process must make the same sequence of calls. The processes then get the same
        results.

        Raises:
          UserError: the lock on the working directory is lost.
        """
        if self._lock is not None:
            self._lock.check()
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
        with suppress(OSError):  # The terminal may be closed.
            os.write(2, message.encode())  # `sys.stderr` may be in the middle of a write, and is not reentrant
