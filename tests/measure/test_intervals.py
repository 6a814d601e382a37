"""Tests of confidence intervals against scipy and closed forms."""

import math

import numpy as np
import pytest
import scipy.stats

from specjax.measure.intervals import confidence_half_width, format_interval, format_share, share_interval


def test_half_width_matches_students_t_interval_of_scipy():
    values = [0.9, 0.95, 0.97, 0.91]
    low, high = scipy.stats.t.interval(0.95, 3, loc=np.mean(values), scale=scipy.stats.sem(values))
    assert confidence_half_width(values) == pytest.approx((high - low) / 2)
    assert confidence_half_width([0.5, 0.5]) == 0
    assert math.isnan(confidence_half_width([0.5]))


def test_interval_is_formatted_as_the_mean_and_half_width_of_several_values():
    assert format_interval([1.0, 2.0, 3.0], "{:.1f} dB") == "2.0 dB ± 2.5 dB"
    assert format_interval([0.25], "{:.2f}") == "0.25"
    assert format_interval([], "{:.2f}") == ""


def test_interval_of_a_share_matches_wilsons_formula():
    z, n, p = scipy.stats.norm.ppf(0.975), 20, 0.8
    center, half = (p + z**2 / (2 * n)) / (1 + z**2 / n), z / (1 + z**2 / n) * math.sqrt(p * 0.2 / n + z**2 / 4 / n**2)
    assert share_interval(16, 20) == pytest.approx((center - half, center + half))
    assert share_interval(0, 20)[0] == 0
    assert share_interval(20, 20)[1] == 1
    assert all(math.isnan(bound) for bound in share_interval(0, 0))


def test_share_is_formatted_in_percent_with_its_interval():
    assert format_share(16, 20) == "80% (58 to 92)"
    assert format_share(0, 0) == ""
