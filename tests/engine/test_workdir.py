"""Tests of stop signals with several processes, in a process that has joined JAX's distributed service."""

import subprocess
import sys

import pytest

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
