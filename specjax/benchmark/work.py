"""Something to time, compiled and ready."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np


@dataclass(frozen=True)
class Work:
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


def compiled(function: Callable[..., Any], args: tuple[Any, ...], items: int, flops: float, moved: float) -> Work:
    """The work of calling `function`, whose least operations and bytes are given for one item."""
    begin = time.perf_counter()
    ready = jax.jit(function).lower(*args).compile()
    compile_s = time.perf_counter() - begin
    return Work(lambda: ready(*args), items, compile_s, items * flops, items * moved, *compilers_count(ready))


def called(function: Callable[[], Any], items: int, flops: float, moved: float) -> Work:
    """The work of calling what compiles its parts by itself, ready once it was called."""
    begin = time.perf_counter()
    jax.block_until_ready(function())
    return Work(function, items, time.perf_counter() - begin, items * flops, items * moved, np.nan, np.nan)


def compilers_count(compiled: Any) -> tuple[float, float]:
    """Operations and bytes of a compiled program."""
    analysis = compiled.cost_analysis() or {}
    return float(analysis.get("flops", np.nan)), float(analysis.get("bytes accessed", np.nan))
