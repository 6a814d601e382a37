"""python launch/local_pod.py --processes=2 -- --config=unet:tiny --workdir=runs/pod

Runs `specjax.train` as several processes on this machine that communicate over loopback, to try out multi-process
training without a cluster. The arguments after `--` are passed to `specjax.train`.

Restarts: when a process dies, the others cannot continue. All are stopped and restarted, up to --restarts times, and
training resumes from the newest intact checkpoint. On SIGTERM or Ctrl-C, every process saves a checkpoint and exits.
They do so too if this program is killed (on Linux). The first process writes to the terminal; of the others, the last
lines are shown when they fail.
"""

import argparse
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from types import FrameType
from typing import IO

SHOWN_LINES = 5  # of what a process that failed has written to stderr
PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2, help="number of processes (default: %(default)s)")
    parser.add_argument("--restarts", type=int, default=3, help="maximum restarts (default: %(default)s)")
    parser.add_argument("arguments", nargs="*", help="arguments of specjax.train, after --")
    options = parser.parse_args()
    if options.processes < 1 or options.restarts < 0:
        parser.error("--processes must be at least 1 and --restarts at least 0")
    pod = Pod(options.processes, options.arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pod.stop)
    for attempt in range(options.restarts + 1):
        status = pod.run()
        # Status 2 is a user error, which a restart would repeat.
        if status in (0, 2) or pod.stopping:
            sys.exit(status)
        print(f"pod: a process exited with status {status} in attempt {attempt + 1}", file=sys.stderr, flush=True)
    sys.exit(1)


class Pod:
    """Group of training processes that start and stop together."""

    def __init__(self, processes: int, arguments: list[str]) -> None:
        self._count, self._arguments = processes, arguments
        self._processes: list[subprocess.Popen] = []
        self._errors: list[IO[str]] = []  # what all processes but the first write to stderr
        self.stopping = False

    def run(self) -> int:
        """Start all processes and wait for them. When a process fails, the others are killed.

        Returns:
          An exit status: 0 if all processes succeeded, otherwise that of a process that failed.
        """
        with ExitStack() as stack:
            self._errors = [
                stack.enter_context(tempfile.TemporaryFile("w+", errors="replace")) for _ in range(1, self._count)
            ]
            return self._run()

    def _run(self) -> int:
        """Run the processes, whose errors go to `_errors`, see `run`."""
        coordinator = f"127.0.0.1:{_free_port()}"
        self._processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "specjax.train", f"--coordinator={coordinator}"),
                    *(f"--num_processes={self._count}", f"--process_id={i}", *self._arguments),
                ],
                env=os.environ | {"JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu")},
                stdout=None if i == 0 else subprocess.DEVNULL,
                stderr=None if i == 0 else self._errors[i - 1],
                preexec_fn=_end_with_parent,
            )
            for i in range(self._count)
        ]
        while True:
            ended = [status for process in self._processes if (status := process.poll()) is not None]
            if any(ended) and not self.stopping:
                self._report_errors()
                self._kill()
                return next(status for status in ended if status)
            if len(ended) == self._count:
                return max(ended, key=abs)
            time.sleep(0.1)

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: send SIGTERM to every process, so that it saves a checkpoint and exits."""
        self.stopping = True
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)

    def _report_errors(self) -> None:
        """Print the last lines on stderr of each process that has failed, but for the first, which printed its own."""
        for i, (process, errors) in enumerate(zip(self._processes[1:], self._errors, strict=True), 1):
            if process.poll():
                errors.seek(0)
                for line in errors.read().splitlines()[-SHOWN_LINES:]:
                    print(f"pod: process {i}: {line}", file=sys.stderr, flush=True)

    def _kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def _end_with_parent() -> None:
    """Ask Linux to send SIGTERM to this process when its parent ends, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
