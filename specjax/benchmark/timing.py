"""Benchmarks: compiled functions to be timed, and what is known about their cost."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np


class Info(NamedTuple):
    """Description of a benchmark: its default settings, and the programs to compare it with.

    A peer is a program that does the same computation with another library, for comparison.

    Attributes:
      batch: default number of items (such as audio clips or images) per call; 0 means the batch size in the config.
      default: whether the benchmark runs when the user does not choose benchmarks.
      plain: plainly written peer, as a tuple (library, module in the package `benchmarks.peers`, *arguments). Empty if
        there is none.
      tuned: peer that is optimized for speed, as a tuple (Python script in the folder `--peers_dir`, *arguments). Empty
        if there is none.
    """

    batch: int
    default: bool = True
    plain: tuple[str, ...] = ()
    tuned: tuple[str, ...] = ()


@dataclass(frozen=True)
class Benchmark:
    """Compiled function to be timed.

    Attributes:
      call: calls the function once and returns its result: JAX arrays, whose computation may not have ended yet.
      items: number of items (such as audio clips or images) that a call processes.
      compile_s: compilation time in seconds.
      flops: least number of floating-point operations that a call needs, estimated from the formulas of the algorithm.
      bytes_moved: least number of bytes that a call must read and write, according to the shapes of its arrays.
      compiled_flops: floating-point operations per call, according to the cost analysis of XLA; nan if unknown.
      compiled_bytes: bytes read and written per call, according to the cost analysis of XLA; nan if unknown.
      audio_s: duration of an item in seconds; nan if items are not audio.
      convergence_db: maps the result of a call to its spectral convergence in dB; lower is better (see
        `signal.inversion.convergence_db`). None if the benchmark does not reconstruct sound from magnitudes.
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
    """Compile a function for given arguments and make a benchmark of it.

    Args:
      function: function that JAX can compile.
      args: arguments of every call.
      items: number of items that a call processes.
      flops: least number of floating-point operations per item.
      bytes_moved: least number of bytes read and written per item.
    """
    begin = time.perf_counter()
    compiled = jax.jit(function).lower(*args).compile()
    compile_s = time.perf_counter() - begin
    return Benchmark(
        lambda: compiled(*args), items, compile_s, items * flops, items * bytes_moved, *compiler_cost(compiled)
    )


def wrap_callable(function: Callable[[], Any], items: int, flops: float, bytes_moved: float) -> Benchmark:
    """Make a benchmark of a function that cannot be compiled as a whole, such as one with several jitted parts.

    The function is called once, and the time of this call counts as compilation time.

    Args:
      function: function to time, which returns JAX arrays.
      items: number of items that a call processes.
      flops: least number of floating-point operations per item.
      bytes_moved: least number of bytes read and written per item.
    """
    begin = time.perf_counter()
    jax.block_until_ready(function())
    return Benchmark(function, items, time.perf_counter() - begin, items * flops, items * bytes_moved, np.nan, np.nan)


def compiler_cost(compiled: Any) -> tuple[float, float]:
    """Return the cost of one call of a compiled function, according to the cost analysis of XLA.

    Args:
      compiled: compiled function, as `jax.jit(function).lower(...).compile()` returns it; or the result of `lower`,
        whose operations are counted as they are written.

    Returns:
      Number of floating-point operations, and number of bytes read and written; nan if unknown.
    """
    analysis = compiled.cost_analysis() or {}
    return float(analysis.get("flops", np.nan)), float(analysis.get("bytes accessed", np.nan))


def count_flops(function: Callable[..., Any], *args: Any) -> float:
    """Return the number of operations of a function as it is written, according to the cost analysis of XLA.

    Args:
      function: function that JAX can compile.
      args: its arguments, or their shapes and dtypes.
    """
    return compiler_cost(jax.jit(function).lower(*args))[0]
