"""Something to time, compiled and ready."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np


class Info(NamedTuple):
    """What is known of a benchmark before it is built.

    batch: items a call, unless asked for otherwise; 0 takes the config's batch size.
    default: whether it runs when no benchmarks are named.
    plain: the peer that does the same plainly: its library, and the module of `benchmarks.peers` with its arguments.
    tuned: the peer that does the same as fast as it can: the program in the folder of tuned peers, with its arguments.
    """

    batch: int
    default: bool = True
    plain: tuple[str, ...] = ()
    tuned: tuple[str, ...] = ()


@dataclass(frozen=True)
class Benchmark:
    """Something to time.

    call: does it once and returns arrays to wait for.
    items: how many it makes.
    compile_s: what its compilation took.
    flops, moved: operations and bytes of one call at least, from first principles.
    compiled_flops, compiled_bytes: what the compiler says of the program it made; nan where it does not say.
    audio_s: seconds of sound that an item is; nan where it is none.
    convergence_db: how near the sounds of a call come to the magnitudes they were made from.
    """

    call: Callable[[], Any]
    items: int
    compile_s: float
    flops: float
    moved: float
    compiled_flops: float
    compiled_bytes: float
    audio_s: float = np.nan
    convergence_db: Callable[[Any], float] | None = None


def compile_benchmark(
    function: Callable[..., Any], args: tuple[Any, ...], items: int, flops: float, moved: float
) -> Benchmark:
    """The work of calling `function`, whose least operations and bytes are given for one item."""
    begin = time.perf_counter()
    ready = jax.jit(function).lower(*args).compile()
    compile_s = time.perf_counter() - begin
    return Benchmark(lambda: ready(*args), items, compile_s, items * flops, items * moved, *compiler_cost(ready))


def wrap_callable(function: Callable[[], Any], items: int, flops: float, moved: float) -> Benchmark:
    """The work of calling what compiles its parts by itself, ready once it was called."""
    begin = time.perf_counter()
    jax.block_until_ready(function())
    return Benchmark(function, items, time.perf_counter() - begin, items * flops, items * moved, np.nan, np.nan)


def compiler_cost(program: Any) -> tuple[float, float]:
    """Operations and bytes of a compiled program."""
    analysis = program.cost_analysis() or {}
    return float(analysis.get("flops", np.nan)), float(analysis.get("bytes accessed", np.nan))
