"""Flags and timing that the peer programs share."""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any


def arguments(description: str, batch: int, works: Sequence[str] = ()) -> argparse.Namespace:
    """Batch, repeats and threads, from the command line; and which of `works`, where a program does several."""
    parser = argparse.ArgumentParser(description=description)
    if works:
        parser.add_argument("work", choices=works)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch; 0 leaves its own choice")
    return parser.parse_args()


def report(
    peer: str,
    work: str,
    call: Callable[[], Any],
    batch: int,
    repeats: int,
    convergence_db: Callable[[Any], float] | None = None,
) -> None:
    """One call that warms up, `repeats` that are timed, one JSON line; with what is said of the sounds it made."""
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
        "work": work,
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
