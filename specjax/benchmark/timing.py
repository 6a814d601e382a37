"""Benchmarks: functions that are compiled and ready to be timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np


class Info(NamedTuple):
    """Description of a benchmark that is not built yet.

    Attributes:
      batch: default number of items per call; 0 stands for the batch size of the config.
      default: whether it runs when no benchmarks are named.
      plain: the peer that does the same in a straightforward way: its library, its module in `benchmarks.peers`, and
        the arguments of that module. Empty if there is none.
      tuned: the peer that does the same as fast as possible: its program in the folder of tuned peers, and the
        arguments of that program. Empty if there is none.
    """

    batch: int
    default: bool = True
    plain: tuple[str, ...] = ()
    tuned: tuple[str, ...] = ()


@dataclass(frozen=True)
class Benchmark:
    """A compiled function to time.

    Attributes:
      call: runs it once and returns arrays to wait for.
      items: number of items that a call processes.
      compile_s: compilation time in seconds.
      flops: least number of floating-point operations that a call needs, from first principles.
      bytes_moved: least number of bytes that a call reads and writes, from first principles.
      compiled_flops: operations of the compiled program according to the compiler; nan if unknown.
      compiled_bytes: bytes accessed by the compiled program according to the compiler; nan if unknown.
      audio_s: duration of an item in seconds; nan if items are not audio.
      convergence_db: computes the spectral convergence in dB of the result of a call; None if it has none.
    """

    call: Callable[[], Any]
    items: int
    compile_s: float
    flops: float
    bytes_moved: float
    compiled_flops: float
    compiled_bytes: float
    audio_s: float = np.nan
    convergence_db: Callable[[Any], float] | None = None


def compile_benchmark(
    function: Callable[..., Any], args: tuple[Any, ...], items: int, flops: float, bytes_moved: float
) -> Benchmark:
    """Compile `function` for `args`; `flops` and `bytes_moved` are the least counts for one item."""
    begin = time.perf_counter()
    compiled = jax.jit(function).lower(*args).compile()
    compile_s = time.perf_counter() - begin
    return Benchmark(
        lambda: compiled(*args), items, compile_s, items * flops, items * bytes_moved, *compiler_cost(compiled)
    )


def wrap_callable(function: Callable[[], Any], items: int, flops: float, bytes_moved: float) -> Benchmark:
    """Make a benchmark of a function that compiles its parts itself, by calling it once.

    The time of that call counts as compilation time. `flops` and `bytes_moved` are the least counts for one item.
    """
    begin = time.perf_counter()
    jax.block_until_ready(function())
    return Benchmark(function, items, time.perf_counter() - begin, items * flops, items * bytes_moved, np.nan, np.nan)


def compiler_cost(compiled: Any) -> tuple[float, float]:
    """Return the operations and bytes accessed of a compiled program, from its cost analysis; nan if unknown."""
    analysis = compiled.cost_analysis() or {}
    return float(analysis.get("flops", np.nan)), float(analysis.get("bytes accessed", np.nan))
