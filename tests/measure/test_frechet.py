"""Tests of Frechet distances against scipy's matrix square root and closed forms."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from specjax.measure.frechet import extrapolated_frechet_distance, frechet_distance, gaussian_frechet_distance

RNG = np.random.default_rng(0)


def distance_by_sqrtm(real, fake):
    s, t = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    root = sqrtm(s @ t).real
    return np.sum((real.mean(axis=0) - fake.mean(axis=0)) ** 2) + np.trace(s + t - 2 * root)


def draw(count, width, scale=1.0, shift=0.0):
    """Normal coordinates of standard deviations up to `scale`."""
    return RNG.standard_normal((count, width)) * np.linspace(0.3, 1, width) * scale + shift


def true_distance(width, scale, shift):
    return width * shift**2 + np.sum((np.linspace(0.3, 1, width) * (scale - 1)) ** 2)


def test_distance_matches_the_matrix_square_root_of_scipy():
    mixing = RNG.standard_normal((6, 6))
    real, fake = draw(40, 6) @ mixing, draw(30, 6, scale=1.4, shift=0.2)
    assert frechet_distance(real, fake) == pytest.approx(distance_by_sqrtm(real, fake), rel=1e-6)


def test_distance_of_normal_distributions_matches_the_closed_form():
    axes = np.linalg.qr(RNG.standard_normal((5, 5)))[0]
    mean, first, second = RNG.standard_normal(5), np.array([4.0, 1, 1, 0.25, 0]), np.array([1.0, 9, 1, 0, 0.01])
    # The covariances have the axes in common, so the standard deviations along them are compared one by one.
    covariances = [(axes * variances) @ axes.T for variances in (first, second)]
    expected = np.sum(mean**2) + np.sum((np.sqrt(first) - np.sqrt(second)) ** 2)
    assert gaussian_frechet_distance(mean, covariances[0], np.zeros(5), covariances[1]) == pytest.approx(expected)


def test_fewer_examples_than_coordinates_give_the_distance_in_their_span():
    few_real, few_fake = draw(7, 6), draw(5, 6, shift=0.5)
    rotation = np.linalg.qr(RNG.standard_normal((50, 50)))[0][:6]
    wide = frechet_distance(few_real @ rotation, few_fake @ rotation)
    assert wide == pytest.approx(frechet_distance(few_real, few_fake), rel=1e-6)


def test_distance_of_a_set_to_itself_is_0_and_to_its_shift_the_squared_shift():
    points = draw(30, 6).astype(np.float32)
    assert frechet_distance(points, points) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(points, points + np.float32(2)) == pytest.approx(6 * 2**2, rel=1e-5)


def test_distance_of_one_coordinate():
    real, fake = draw(10, 1), draw(12, 1, scale=3)
    expected = (real.mean() - fake.mean()) ** 2 + (real.std(ddof=1) - fake.std(ddof=1)) ** 2
    assert frechet_distance(real, fake) == pytest.approx(expected)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.3, 0.2)])
def test_extrapolation_removes_most_of_the_bias(scale, shift):
    truth = true_distance(16, scale, shift)
    pairs = [(draw(100, 16), draw(80, 16, scale, shift)) for _ in range(10)]
    plain = np.array([frechet_distance(*pair) for pair in pairs])
    extrapolated = np.array([extrapolated_frechet_distance(*pair) for pair in pairs])
    assert np.mean(abs(extrapolated - truth)) < 0.5 * np.mean(abs(plain - truth))
    assert abs(extrapolated.mean() - truth) < 0.3 * (plain.mean() - truth)


def test_extrapolation_depends_on_the_seed_alone():
    real, fake = draw(40, 3), draw(40, 3)
    values = [extrapolated_frechet_distance(real, fake, seed=seed) for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]
