"""Tests of precision, recall, density and coverage against their definitions in numpy, and of their limits."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from specjax.measure.precision_recall import Prdc, prdc

RNG = np.random.default_rng(0)
REAL, FAKE, WIDTH = 30, 24, 4  # shared shapes, compiled once


def draw(count, scale=1.0):
    return (scale * RNG.standard_normal((count, WIDTH))).astype(np.float32)


def prdc_in_numpy(real, fake, k):
    between = cdist(real, fake)
    real_radii, fake_radii = (np.sort(cdist(x, x), axis=1)[:, k] for x in (real, fake))
    in_real, in_fake = between <= real_radii[:, None], between <= fake_radii[None]
    precision, recall = in_real.any(axis=0).mean(), in_fake.any(axis=1).mean()
    return Prdc(precision, recall, in_real.sum(axis=0).mean() / k, (between.min(axis=1) <= real_radii).mean())


@pytest.mark.parametrize("k", [1, 5])
def test_values_match_the_definitions(k):
    real, fake = draw(REAL), draw(FAKE, scale=1.5)
    assert prdc(real, fake, k) == pytest.approx(prdc_in_numpy(real, fake, k))
    assert prdc(jnp.asarray(real), jnp.asarray(fake), k) == prdc(real, fake, k)


def test_identical_sets_are_precise_and_cover_everything():
    points = np.repeat(draw(REAL // 2), 2, axis=0)  # copies lie at the surface of balls
    for k in (1, 5):
        precision, recall, _, coverage = prdc(points, points[::-1].copy(), k)
        assert precision == recall == coverage == 1


def test_distant_sets_score_0():
    assert prdc(draw(REAL), draw(FAKE) + np.float32(100)) == (0, 0, 0, 0)


def test_mode_collapse_is_precise_but_covers_little():
    real = draw(REAL)
    collapsed = prdc(real, np.tile(real[:1], (FAKE, 1)))
    assert collapsed.precision == 1
    assert collapsed.recall == 1 / REAL
    assert collapsed.coverage < 0.5


def test_expected_density_and_coverage_of_equal_distributions():
    k = 5
    values = [prdc(draw(REAL), draw(FAKE), k) for _ in range(100)]
    steps = np.arange(1, k + 1)
    coverage = 1 - np.prod((REAL - steps) / (REAL + FAKE - steps))  # Naeem et al. (2020), for any distribution
    assert np.mean([v.coverage for v in values]) == pytest.approx(coverage, abs=0.015)
    assert np.mean([v.density for v in values]) == pytest.approx(1, abs=0.06)


def test_impossible_arguments_are_errors():
    with pytest.raises(ValueError, match="fake has 5 examples, expected at least 6"):
        prdc(draw(6), draw(5))
    with pytest.raises(ValueError, match="k=0 must be at least 1"):
        prdc(draw(6), draw(6), k=0)
