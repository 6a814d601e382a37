"""Tests of confidence intervals against scipy."""

import math

import numpy as np
import pytest
import scipy.stats

from specjax.measure.intervals import confidence_half_width, format_interval


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
