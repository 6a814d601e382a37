"""Rank correlation of two quantities within groups, with its confidence interval."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped


class Correlation(NamedTuple):
    """A correlation and the ends of its 95% confidence interval."""

    value: float
    low: float
    high: float


def rank_correlation(
    x: Float[np.ndarray, " examples"], y: Float[np.ndarray, " examples"], group: Shaped[np.ndarray, " examples"]
) -> Correlation:
    """Compute Spearman's rank correlation of examples, with ranks taken within groups.

    The ranks of each group are scaled to mean 0 and to its size, so that differences between the groups do not count.
    For one group it is Spearman's correlation. The interval is Fisher's, widened for ranks (Bonett and Wright 2000);
    it assumes that the examples are independent.

    Args:
      x, y: both quantities.
      group: label of the group of each example.

    Returns:
      The correlation; nan if one of the quantities is constant in every group.
    """
    ranks_x, ranks_y = _rank_within(x, group), _rank_within(y, group)
    size = math.sqrt(float(np.sum(ranks_x**2) * np.sum(ranks_y**2)))
    freedom = len(x) - len(np.unique(group)) - 2
    if not size:
        return Correlation(math.nan, math.nan, math.nan)
    value = float(np.sum(ranks_x * ranks_y) / size)
    if freedom < 1:
        return Correlation(value, -1.0, 1.0)
    middle = math.atanh(min(max(value, -1 + 1e-9), 1 - 1e-9))
    half_width = NormalDist().inv_cdf(0.975) * math.sqrt((1 + value**2 / 2) / freedom)
    return Correlation(value, math.tanh(middle - half_width), math.tanh(middle + half_width))


def _rank_within(
    values: Float[np.ndarray, " examples"], group: Shaped[np.ndarray, " examples"]
) -> Float[np.ndarray, " examples"]:
    """Rank values within groups; ties have their mean rank. The ranks of each group lie within (-.5, .5)."""
    from scipy.stats import rankdata

    ranks = np.zeros(len(values))
    for label in np.unique(group):
        chosen = group == label
        ranks[chosen] = (rankdata(values[chosen]) - (chosen.sum() + 1) / 2) / chosen.sum()
    return ranks
