"""Command-line arguments and timing, shared by the programs in `benchmarks.peers`."""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any


def parse_arguments(description: str, batch: int, benchmarks: Sequence[str] = ()) -> argparse.Namespace:
    """Parse the command line of a program: `--batch`, `--repeats`, `--threads`, and the benchmark if there are several.

    Args:
      description: text that `--help` shows.
      batch: default number of items per call.
      benchmarks: names of the benchmarks to choose from; empty if the program has only one.
    """
    parser = argparse.ArgumentParser(description=description)
    if benchmarks:
        parser.add_argument("benchmark", choices=benchmarks)
    parser.add_argument("--batch", type=int, default=batch, help="items per call (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="timed calls (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="threads of PyTorch; 0: its default")
    return parser.parse_args()


def run(
    peer: str,
    benchmark: str,
    call: Callable[[], Any],
    batch: int,
    repeats: int,
    convergence_db: Callable[[Any], float] | None = None,
) -> None:
    """Time a function, and print the result as one JSON line.

    The function is called once to warm up, then `repeats` times. The line has the median and the minimum time of a
    call, the throughput, the warm-up time and the peak memory.

    Args:
      peer: name of the library.
      benchmark: name of the benchmark.
      call: function that processes a batch.
      batch: number of items that a call processes.
      repeats: number of timed calls.
      convergence_db: computes the spectral convergence in dB from the result of a call; None if it has none.
    """
    begin = time.perf_counter()
    result = call()
    warmup_s = time.perf_counter() - begin
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - begin))
    median = statistics.median(times)
    line = {
        "peer": peer,
        "benchmark": benchmark,
        "batch": batch,
        "ms_per_step": round(median, 3),
        "ms_min": round(min(times), 3),
        "items_per_s": round(1e3 * batch / median, 4),
        "warmup_s": round(warmup_s, 2),
        "peak_mem_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "steps": repeats,
    }
    if convergence_db is not None:
        line["convergence_db"] = round(convergence_db(result), 2)
    print(json.dumps(line), flush=True)
