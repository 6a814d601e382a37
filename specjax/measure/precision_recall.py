"""Precision, recall, density and coverage of generated examples, from the nearest neighbors of their embeddings.

Precision and recall are those of Kynkaanniemi et al. (2019), "Improved Precision and Recall Metric for Assessing
Generative Models". Density and coverage are those of Naeem et al. (2020), "Reliable Fidelity and Diversity Metrics for
Generative Models".
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Int

from specjax.measure.embeddings import Embeddings, check_embeddings
from specjax.measure.neighbors import map_squared_distances, squared_neighbor_radii

Fake = Float32[Array, "fake width"]
Real = Float32[Array, "real width"]


class Prdc(NamedTuple):
    """Fidelity (precision and density) and diversity (recall and coverage) of generated examples.

    The ball of an example is centered on it, and its radius is the distance to the k-th nearest other example of its
    own set.

    Attributes:
      precision: share of generated examples that lie in the ball of a real example.
      recall: share of real examples that lie in the ball of a generated example.
      density: number of balls of real examples in which a generated example lies, on average, divided by k. It may
        exceed 1, and is 1 on average if both distributions are equal.
      coverage: share of real examples whose ball holds a generated example.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: Embeddings, fake: Embeddings, k: int = 5) -> Prdc:
    """Compute precision, recall, density and coverage.

    All four depend on k and on the numbers of examples: compare only values for which both are equal. If the two
    distributions are equal, coverage is not 1, but on average 1 - (N-1)...(N-k) / ((N+M-1)...(N+M-k)) for N real and M
    generated examples, which is 0.97 for k = 5 and N = M.

    A ball includes its surface. Implementations that exclude it give different values if there are duplicates.

    Args:
      real: embeddings of real examples.
      fake: embeddings of generated examples.
      k: which nearest neighbor gives the radius of a ball, from 1.

    Raises:
      ValueError: k is less than 1, a set has at most k examples, the widths differ, or a value is not finite.
    """
    if k < 1:
        raise ValueError(f"k={k} must be at least 1")
    real_points, fake_points = (jnp.asarray(x, jnp.float32) for x in check_embeddings(k + 1, real=real, fake=fake))
    real_radii, fake_radii = squared_neighbor_radii(real_points, k), squared_neighbor_radii(fake_points, k)
    balls = np.asarray(_count_balls(fake_points, real_points, real_radii))
    recalled, covered = map(np.asarray, _find_fake(real_points, real_radii, fake_points, fake_radii))
    return Prdc(
        precision=float(np.mean(balls > 0)),
        recall=float(np.mean(recalled)),
        density=float(np.mean(balls) / k),
        coverage=float(np.mean(covered)),
    )


@jax.jit
def _count_balls(fake: Fake, real: Real, squared_radii: Float32[Array, " real"]) -> Int[Array, " fake"]:
    """Count the balls of real examples in which each generated example lies."""
    return map_squared_distances(lambda squared: jnp.sum(squared <= squared_radii), fake, real)


@jax.jit
def _find_fake(
    real: Real, real_radii: Float32[Array, " real"], fake: Fake, fake_radii: Float32[Array, " fake"]
) -> tuple[Bool[Array, " real"], Bool[Array, " real"]]:
    """Find whether each real example lies in the ball of a generated one, and whether its own ball holds one.

    The radii are squared.
    """

    def find(squared: Float32[Array, " fake"], radius: Float32[Array, ""]) -> tuple[Array, Array]:
        return jnp.any(squared <= fake_radii), jnp.min(squared) <= radius

    return map_squared_distances(find, real, fake, real_radii)
