"""Spearman's rank correlation within groups, with a cluster bootstrap confidence interval."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

_SEED = 0
_RESAMPLES = 2000


class Correlation(NamedTuple):
    """A correlation and the ends of its 95% confidence interval."""

    value: float
    low: float
    high: float


def rank_correlation(
    x: Float[np.ndarray, " examples"],
    y: Float[np.ndarray, " examples"],
    group: Shaped[np.ndarray, " examples"],
    cluster: Shaped[np.ndarray, " examples"],
) -> Correlation:
    """Compute Spearman's rank correlation of two quantities, with ranks taken within groups.

    The ranks of each group are centered and divided by the size of the group, so that differences between groups have
    no influence. For a single group, this is Spearman's correlation. The interval is a percentile bootstrap over whole
    clusters, with the ranks computed once from all examples: examples of a cluster, such as the clips of a composition,
    are similar, and only the clusters are independent.

    Args:
      x, y: the two quantities of each example.
      group: label of the group of each example.
      cluster: label of the cluster of each example. All examples of a cluster are in one group.

    Returns:
      The correlation; nan if one of the quantities is constant in every group. The interval is [-1, 1] if a group has
      a single cluster.
    """
    ranks_x, ranks_y = _rank_within(x, group), _rank_within(y, group)
    _, first, number = np.unique(cluster, return_index=True, return_inverse=True)
    products = np.stack([np.bincount(number, p) for p in (ranks_x * ranks_y, ranks_x**2, ranks_y**2)], axis=1)
    value = _normalize(products.sum(axis=0)).item()
    if math.isnan(value):
        return Correlation(math.nan, math.nan, math.nan)
    clusters = [np.flatnonzero(group[first] == label) for label in np.unique(group)]
    if min(map(len, clusters)) < 2:
        return Correlation(value, -1.0, 1.0)
    rng = np.random.default_rng(_SEED)
    resampled = sum(products[own[rng.integers(len(own), size=(_RESAMPLES, len(own)))]].sum(axis=1) for own in clusters)
    low, high = np.nanquantile(_normalize(np.asarray(resampled)), (0.025, 0.975)).tolist()
    return Correlation(value, low, high)


def _normalize(products: Float[np.ndarray, "*resamples 3"]) -> Float[np.ndarray, "*resamples"]:
    """Compute correlations from the sums of x y, of x squared and of y squared; nan where x or y is constant."""
    xy, xx, yy = np.moveaxis(products, -1, 0)
    with np.errstate(invalid="ignore"):
        return np.asarray(xy / np.sqrt(xx * yy))


def _rank_within(
    values: Float[np.ndarray, " examples"], group: Shaped[np.ndarray, " examples"]
) -> Float[np.ndarray, " examples"]:
    """Rank values within groups; ties get their mean rank. The ranks of each group lie within (-.5, .5)."""
    from scipy.stats import rankdata

    ranks = np.zeros(len(values))
    for label in np.unique(group):
        chosen = group == label
        ranks[chosen] = (rankdata(values[chosen]) - (chosen.sum() + 1) / 2) / chosen.sum()
    return ranks
