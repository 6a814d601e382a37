"""Roofline of the machine: its peak arithmetic speed and memory bandwidth.

The operations and bytes that a benchmark needs at least are counted from the mathematics and the shapes of the layers:
a multiply-add is two operations, and a training step is three forward passes (one forward, two backward). The counts of
the compiled program are reported separately; they come from the compiler's cost analysis.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Machine(NamedTuple):
    """Measured peak speed of this machine: floating-point operations per second, and bytes per second."""

    flops_per_s: float
    bytes_per_s: float

    def seconds(self, flops: float, bytes_moved: float) -> float:
        """Return the minimum time for this many operations and bytes, if arithmetic and memory access overlap."""
        return max(flops / self.flops_per_s, bytes_moved / self.bytes_per_s)


def measure() -> Machine:
    """Measure the machine with a large float32 matrix product and a read-write pass over memory."""
    n = 2048 if jax.default_backend() == "cpu" else 8192
    a = jnp.full((n, n), 0.5)
    product = jax.jit(lambda x: x @ x)
    words = 2**26 if jax.default_backend() == "cpu" else 2**30
    increment = jax.jit(lambda x: x + 1, donate_argnums=0)  # In place: allocating memory costs more than writing to it.
    buffer = [jnp.zeros((words,), jnp.float32)]

    def read_and_write() -> Any:
        buffer[0] = increment(buffer[0])
        return buffer[0]

    return Machine(2.0 * n**3 / _median_s(product, a), 8.0 * words / _median_s(read_and_write))


def _median_s(function: Callable[..., Any], *args: Any, repeats: int = 5) -> float:
    """Return the median time of a call in seconds, after one warm-up call."""
    jax.block_until_ready(function(*args))
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(function(*args))
        times.append(time.perf_counter() - begin)
    return statistics.median(times)
