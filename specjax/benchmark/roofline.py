"""What the machine can do at best, and how much arithmetic a work needs at least.

Counts are of the mathematics, from the shapes of the layers: two operations a multiply-add, three forward passes a
training step (one forward, two backward). What the compiler made of it is counted apart, from its own cost analysis.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Machine(NamedTuple):
    """Measured on this machine, just now: operations and bytes a second."""

    flops_per_s: float
    bytes_per_s: float

    def seconds(self, flops: float, moved: float) -> float:
        """Least time for so many operations and so many bytes, each at its best, side by side."""
        return max(flops / self.flops_per_s, moved / self.bytes_per_s)


def measure() -> Machine:
    """A float32 matrix product that fits no cache, and a pass over memory that reads and writes."""
    n = 2048 if jax.default_backend() == "cpu" else 8192
    a = jnp.full((n, n), 0.5)
    product = jax.jit(lambda x: x @ x)
    words = 2**26 if jax.default_backend() == "cpu" else 2**30
    touch = jax.jit(lambda x: x + 1, donate_argnums=0)  # in place: fresh memory costs more than writing to it
    held = [jnp.zeros((words,), jnp.float32)]

    def pass_over() -> Any:
        held[0] = touch(held[0])
        return held[0]

    return Machine(2.0 * n**3 / _median_s(product, a), 8.0 * words / _median_s(pass_over))


def _median_s(function: Callable[..., Any], *args: Any, repeats: int = 5) -> float:
    jax.block_until_ready(function(*args))
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(function(*args))
        times.append(time.perf_counter() - begin)
    return statistics.median(times)
