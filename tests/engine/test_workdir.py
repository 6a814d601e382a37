"""Tests of the lock on a workdir, and of stop signals in a process that has joined JAX's distributed service."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from unittest import mock

import pytest

from specjax.cli.errors import UserError
from specjax.engine.workdir import StopRequest, WorkdirLock

SCRIPT = """
import os, signal, socket, sys, time
from unittest import mock

import jax

jax.config.update("jax_platforms", "cpu")
with socket.socket() as s:
    s.bind(("localhost", 0))
    port = s.getsockname()[1]
jax.distributed.initialize(f"localhost:{port}", num_processes=1, process_id=0)

from specjax.engine.workdir import StopRequest

with mock.patch("jax.process_count", return_value=2):
    stop = StopRequest()
steps_per_dispatch, first, second = (int(word) for word in sys.argv[1:])
step, deadline = 0, time.monotonic() + 30
while not stop.should_stop(step) and time.monotonic() < deadline:
    step += steps_per_dispatch
    if step == 5 * steps_per_dispatch:
        os.kill(os.getpid(), first)
        if second:
            os.kill(os.getpid(), second)
    time.sleep(0.01)
print(stop.exit_status)
os._exit(0)
"""


def stop(steps_per_dispatch, first, second=0):
    """Run the script, and return the finished process."""
    words = [str(int(word)) for word in (steps_per_dispatch, first, second)]
    return subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("steps_per_dispatch", [1, 32])
def test_signal_stops_processes_between_dispatches_of_any_length(steps_per_dispatch):
    done = stop(steps_per_dispatch, first=2)
    assert (done.returncode, done.stdout) == (0, "143\n"), done.stderr


def test_second_interrupt_ends_a_process_at_once():
    done = stop(1, first=2, second=2)
    assert (done.returncode, done.stdout) == (130, ""), done.stderr


def test_lock_file_that_is_a_link_to_another_file_is_an_error(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("text")
    (tmp_path / "lock.json").symlink_to(precious)
    with pytest.raises(UserError, match=r"lock.json is a symbolic link, which you should remove"):
        WorkdirLock(tmp_path)
    assert precious.read_text() == "text"


def test_lock_file_that_is_a_pipe_is_an_error(tmp_path):
    os.mkfifo(tmp_path / "lock.json")
    with pytest.raises(UserError, match=r"lock.json is not a regular file"):
        WorkdirLock(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_system_without_locks_is_an_error_unless_no_lock_is_needed(tmp_path, monkeypatch, number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(UserError, match=r"on a file system without locks .* add --nolock"):
        WorkdirLock(tmp_path)
    WorkdirLock(tmp_path, needs_flock=False).release()


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
def test_short_failure_of_the_file_system_does_not_stop_a_run(tmp_path, monkeypatch, number):
    lock = WorkdirLock(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", mock.Mock(side_effect=OSError(number, os.strerror(number))))
        lock.check()
    (tmp_path / "lock.json").unlink()
    with pytest.raises(UserError, match="was removed or replaced while this run held it"):
        lock.check()
    lock.release()


@pytest.mark.parametrize("replaced", [False, True])
def test_run_whose_lock_file_is_removed_or_replaced_stops(tmp_path, replaced, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    lock = WorkdirLock(tmp_path)
    lock.check()
    (tmp_path / "lock.json").unlink()
    other = WorkdirLock(tmp_path) if replaced else None
    with pytest.raises(UserError, match="was removed or replaced while this run held it"):
        StopRequest(lock).should_stop(0)
    for held in (lock, other):
        if held:
            held.release()
