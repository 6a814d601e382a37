"""Roofline of this machine: its measured peak arithmetic speed and memory bandwidth.

The roofline gives the minimum time of a benchmark, from the least number of floating-point operations and bytes that it
needs. Each benchmark computes these numbers from its formulas and the shapes of its arrays. A multiply-add counts as
two operations. A training step counts as three forward passes: one forward, and two for the backward pass.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Machine(NamedTuple):
    """Measured peak speed of a machine: floating-point operations per second, and bytes read or written per second."""

    flops_per_s: float
    bytes_per_s: float

    def seconds(self, flops: float, bytes_moved: float) -> float:
        """Compute the minimum time in seconds of a computation, if arithmetic and memory access overlap.

        Args:
          flops: number of floating-point operations.
          bytes_moved: number of bytes read and written.
        """
        return max(flops / self.flops_per_s, bytes_moved / self.bytes_per_s)


def measure() -> Machine:
    """Measure the peak speed of JAX's default device.

    The arithmetic speed is measured with a large float32 matrix product. The memory bandwidth is measured by adding 1
    to a large array in place.
    """
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
    """Measure the median time in seconds of `function(*args)` over `repeats` calls, after one warm-up call."""
    jax.block_until_ready(function(*args))
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(function(*args))
        times.append(time.perf_counter() - begin)
    return statistics.median(times)
