"""python launch/local_pod.py --processes=2 -- --config=unet:tiny --workdir=runs/pod

Runs `specjax.train` as a pod of processes on this machine, joined over loopback: for trying out what a cluster will
do. The arguments after `--` are train's own.

Restart story: when a process dies the others cannot go on. All are then stopped and the pod is started again, up to
--restarts times; it resumes from its newest intact checkpoint. SIGTERM or Ctrl-C is passed on to every process, which
save and leave.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from types import FrameType


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("arguments", nargs="*", help="arguments of specjax.train, after --")
    options = parser.parse_args()
    if options.processes < 1 or options.restarts < 0:
        parser.error("--processes must be at least 1 and --restarts at least 0")
    pod = Pod(options.processes, options.arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pod.stop)
    for attempt in range(options.restarts + 1):
        status = pod.run()
        # 2 is a refusal: the same command would be refused again.
        if status in (0, 2) or pod.stopping:
            sys.exit(status)
        print(f"pod: a process ended with {status}; attempt {attempt + 1} is over", file=sys.stderr, flush=True)
    sys.exit(1)


class Pod:
    """Processes that live and die together."""

    def __init__(self, processes: int, arguments: list[str]) -> None:
        self._count, self._arguments = processes, arguments
        self._processes: list[subprocess.Popen] = []
        self.stopping = False

    def run(self) -> int:
        """Start all, wait for all; the first bad status ends the others and is returned."""
        coordinator = f"127.0.0.1:{_free_port()}"
        self._processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "specjax.train", f"--coordinator={coordinator}"),
                    *(f"--num_processes={self._count}", f"--process_id={i}", *self._arguments),
                ],
                env=os.environ | {"JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu")},
                stdout=None if i == 0 else subprocess.DEVNULL,
                stderr=None if i == 0 else subprocess.DEVNULL,
            )
            for i in range(self._count)
        ]
        while True:
            ended = [status for process in self._processes if (status := process.poll()) is not None]
            if any(ended) and not self.stopping:
                self._kill()
                return next(status for status in ended if status)
            if len(ended) == self._count:
                return max(ended, key=abs)
            time.sleep(0.1)

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Pass a signal on: every process saves and leaves."""
        self.stopping = True
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)

    def _kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
