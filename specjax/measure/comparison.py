"""Metrics that compare sets of generated and real examples by their embeddings."""

import numpy as np
from jaxtyping import Float

from specjax.measure.embeddings import Embeddings
from specjax.measure.kernel import kernel_distance
from specjax.measure.precision_recall import prdc

NEIGHBORS = 5  # nearest neighbors of PRDC


def compare_embeddings(real: Embeddings, fake: Embeddings) -> dict[str, float]:
    """Compute PRDC, and the kernel distance with the half-width of its 95% confidence interval.

    The names of the metrics begin with `eval/`.

    Raises:
      ValueError: a set has at most `NEIGHBORS` examples.
    """
    distance = kernel_distance(real, fake)
    return {
        **{f"eval/{name}": float(value) for name, value in prdc(real, fake, NEIGHBORS)._asdict().items()},
        "eval/kernel_distance": distance.distance,
        "eval/kernel_distance_half_width": distance.half_width,
    }


def mean_pairwise_distance(points: Float[np.ndarray, "points width"]) -> float:
    """Compute the mean Euclidean distance over all pairs of points; nan for fewer than two points."""
    from scipy.spatial.distance import pdist

    return float(np.mean(pdist(points))) if len(points) > 1 else float("nan")
