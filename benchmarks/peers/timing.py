"""Command-line arguments and timing of the peer programs."""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any


def parse_arguments(description: str, batch: int, benchmarks: Sequence[str] = ()) -> argparse.Namespace:
    """Parse the command line.

    Args:
      description: of the program, for `--help`.
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
    """Call a function once to warm up, then `repeats` times, and print the median time and more as one JSON line.

    Args:
      peer: name of the library.
      benchmark: name of the benchmark.
      call: processes a batch.
      batch: number of items that a call processes.
      repeats: number of timed calls.
      convergence_db: computes the spectral convergence of the result of a call; None if it has none.
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
