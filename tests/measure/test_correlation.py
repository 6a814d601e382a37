"""Rank correlation against scipy, and within groups."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from specjax.measure.correlation import rank_correlation

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("decimals", [8, 0], ids=["without ties", "with ties"])
def test_one_group_has_spearmans_correlation(decimals):
    x = RNG.normal(size=40)
    y = np.round(x + RNG.normal(size=40), decimals)
    result = rank_correlation(x, y, np.zeros(40), np.arange(40))
    assert result.value == pytest.approx(spearmanr(x, y).statistic)
    assert -1 < result.low < result.value < result.high < 1


def test_differences_between_groups_do_not_count():
    group = np.repeat([0, 1], 200)
    x, y = RNG.normal(size=(2, 400)) + 100 * group
    assert spearmanr(x, y).statistic > 0.5
    assert abs(rank_correlation(x, y, group, np.arange(400)).value) < 0.2
    assert rank_correlation(x, x**3 + 1e7 * group, group, np.arange(400)).value == pytest.approx(1)


@pytest.mark.parametrize("copies", [1, 6], ids=["independent examples", "six equal examples in each cluster"])
def test_the_interval_holds_the_correlation_in_most_cases(copies):
    rng, true = np.random.default_rng(1), 6 / math.pi * math.asin(0.5 / 2)  # of normal variables of correlation .5
    cluster, hits = np.repeat(np.arange(40), copies), 0
    for _ in range(100):
        x, noise = np.repeat(rng.normal(size=(2, 40)), copies, axis=1)
        result = rank_correlation(x, 0.5 * x + math.sqrt(0.75) * noise, np.zeros(len(x)), cluster)
        hits += result.low <= true <= result.high
    assert 85 <= hits < 100


def test_constant_values_have_no_correlation_and_a_single_cluster_no_interval():
    assert math.isnan(rank_correlation(np.ones(5), np.arange(5.0), np.zeros(5), np.arange(5)).value)
    assert rank_correlation(np.arange(3.0), np.arange(3.0), np.zeros(3), np.zeros(3)) == (1, -1, 1)
