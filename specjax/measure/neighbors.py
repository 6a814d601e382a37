"""Squared Euclidean distances between all pairs of points of two sets, reduced block by block, and nearest neighbors.

Distances are sums of squared differences. The product form |x|^2 + |y|^2 - 2 x.y would be several times faster, but
float32 would lose the small distances between near copies to cancellation.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Shaped

BLOCK = 64  # points whose distances to all others are in memory at the same time

Points = Float32[Array, "points width"]
Result = TypeVar("Result")


def map_squared_distances(
    reduce: Callable[..., Result],
    points: Points,
    others: Float32[Array, "others width"],
    *values: Shaped[Array, "points ..."],
) -> Result:
    """Apply a function to the squared distances from each point to all others, in the memory of `BLOCK` points.

    The distance between equal points is exactly 0. Call this under `jit`.

    Args:
      reduce: takes the squared distances from one point, of shape (others,), and the values of that point.
      points: one point per row.
      others: points to which distances are computed.
      values: further arguments of `reduce`, one per point.

    Returns:
      The results of `reduce`, stacked along a new first axis.
    """

    def apply(row: tuple[Array, ...]) -> Result:
        point, *rest = row
        return reduce(jnp.sum(jnp.square(others - point[None]), axis=-1), *rest)

    return jax.lax.map(apply, (points, *values), batch_size=BLOCK)


@partial(jax.jit, static_argnames="k")
def squared_neighbor_radii(points: Points, k: int) -> Float32[Array, " points"]:
    """Compute the squared distance from each point to its k-th nearest other point. `k` is less than their number.

    Duplicates count as other points: a point that occurs k + 1 times has radius 0.
    """
    # The point itself, at distance 0, is among the k + 1 nearest.
    return map_squared_distances(lambda squared: -jax.lax.top_k(-squared, k + 1)[0][k], points, points)
