"""What the machine can do at best, and how much arithmetic a work needs at least.

Counts are of the mathematics, from the shapes of the layers: two operations a multiply-add, three forward passes a
training step (one forward, two backward). What the compiler made of it is counted apart, from its own cost analysis.
"""

import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from specjax.chord.model import UNetConfig


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


def unet_flops(config: UNetConfig, size: int, columns: int) -> float:
    """Operations of one forward pass of the U-Net for one digit."""
    fine, middle, coarse = config.widths
    places = {"fine": 28 * 28, "middle": 14 * 14, "coarse": 7 * 7}

    def convs(first: int, width: int, depth: int, level: str) -> float:
        channels = [first, *[width] * depth]
        return sum(2.0 * 9 * a * b * places[level] for a, b in pairwise(channels))

    joined = 2 if config.skips else 1
    total = convs(1, fine, config.depth, "fine") + convs(fine, middle, config.depth, "middle")
    total += convs(middle, coarse, config.bottleneck_depth, "coarse")
    # A doubling 4x4 transposed convolution: sixteen taps for each place it reads.
    total += 2.0 * 16 * (coarse * middle * places["coarse"] + middle * fine * places["middle"])
    total += convs(joined * middle, middle, config.depth, "middle") + convs(joined * fine, fine, config.depth, "fine")
    if config.head == "paper":
        total += 2.0 * (9 * fine * places["fine"] + size * 84 * 84 + size * 84 * columns)
    else:
        c = config.head_channels
        total += 2.0 * (fine * c * places["fine"] + size * 28 * c * 28 + size * 28 * columns)
    return total


def ms_ssim_flops(size: int, columns: int, scales: int = 5) -> float:
    """Operations of MS-SSIM and its gradient: five filterings of 11 + 11 taps forward, three back, at each scale."""
    pixels = sum(size * columns / 4**scale for scale in range(scales))
    return pixels * 8 * 2 * 2 * 11


def _median_s(function: Callable[..., Any], *args: Any, repeats: int = 5) -> float:
    jax.block_until_ready(function(*args))
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(function(*args))
        times.append(time.perf_counter() - begin)
    return statistics.median(times)
