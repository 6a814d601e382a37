"""Kernel distance of two sets of embeddings: the squared maximum mean discrepancy of Binkowski et al. (2018), or KID.

Source: "Demystifying MMD GANs". The kernel is k(x, y) = (x.y / width + 1)^3, so the distance compares the first three
moments of the embeddings.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from specjax.measure.embeddings import Embeddings, check_embeddings

BLOCK = 256  # rows of the kernel matrix that are in memory at the same time

Points = Float64[np.ndarray, "points width"]
Sums = Float64[np.ndarray, " points"]


class KernelDistance(NamedTuple):
    """A kernel distance and the half-width of its 95% confidence interval."""

    distance: float
    half_width: float


def kernel_distance(real: Embeddings, fake: Embeddings) -> KernelDistance:
    """Estimate the kernel distance between the distributions of real and generated examples.

    The estimate is unbiased for any numbers of examples, which may differ. It is 0 on average if the distributions are
    equal, so it can be negative.

    The confidence interval is that of a normal distribution whose variance is estimated by the jackknife: from the
    distances with one example of either set left out. The result is deterministic. The examples are assumed to be
    independent, which clips of the same recording are not. On average the jackknife overestimates the variance (Efron
    and Stein 1981), by a factor of about 2 if the distributions are equal. In simulations with normal embeddings of
    width 16 and 64 and 30 to 100 examples, 93% to 99% of the intervals contained the true distance. With few dimensions
    and large values, fewer may (87% for width 1).

    Args:
      real: embeddings of real examples.
      fake: embeddings of generated examples.

    Raises:
      ValueError: a set has fewer than three examples, the widths differ, or a value is not finite.
    """
    # In double precision, because the three means nearly cancel.
    x, y = (points.astype(np.float64) for points in check_embeddings(3, real=real, fake=fake))
    n, m = len(x), len(y)
    x_sums, y_sums = _sum_within(x), _sum_within(y)
    xy_sums, yx_sums = _sum_kernel(x, y)
    x_total, y_total, xy_total = x_sums.sum(), y_sums.sum(), xy_sums.sum()
    x_mean, y_mean, xy_mean = x_total / (n * (n - 1)), y_total / (m * (m - 1)), xy_total / (n * m)

    # Distances with each example of x left out, and with each example of y left out.
    x_left = (x_total - 2 * x_sums) / ((n - 1) * (n - 2)) + y_mean - 2 * (xy_total - xy_sums) / ((n - 1) * m)
    y_left = (y_total - 2 * y_sums) / ((m - 1) * (m - 2)) + x_mean - 2 * (xy_total - yx_sums) / ((m - 1) * n)
    variance = (n - 1) * np.var(x_left) + (m - 1) * np.var(y_left)
    half_width = NormalDist().inv_cdf(0.975) * math.sqrt(variance)
    return KernelDistance(float(x_mean + y_mean - 2 * xy_mean), half_width)


def _sum_within(points: Points) -> Sums:
    """Sum the kernel of each point with all other points of the same set."""
    return _sum_kernel(points, points)[0] - _kernel(np.sum(points**2, axis=1), points.shape[1])


def _sum_kernel(x: Points, y: Float64[np.ndarray, "others width"]) -> tuple[Sums, Float64[np.ndarray, " others"]]:
    """Sum the kernel over all pairs of points, for each point of `x` and for each point of `y`."""
    x_sums, y_sums = np.zeros(len(x)), np.zeros(len(y))
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        values = _kernel(x[rows] @ y.T, x.shape[1])
        x_sums[rows] = values.sum(axis=1)
        y_sums += values.sum(axis=0)
    return x_sums, y_sums


def _kernel(products: Float64[np.ndarray, "..."], width: int) -> Float64[np.ndarray, "..."]:
    """Compute the kernel from inner products of points."""
    base = products / width + 1
    return base * base * base
