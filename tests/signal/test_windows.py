"""Windows compared with SciPy."""

import numpy as np
import pytest
import scipy.signal

from specjax.signal.windows import WINDOWS, window


@pytest.mark.parametrize("length", [2, 63, 64, 1000])
@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "boxcar", "nuttall", "tukey", "triang"])
def test_windows_match_scipy(name, length):
    np.testing.assert_allclose(window(name, length), scipy.signal.get_window(name, length), atol=1e-7)


@pytest.mark.parametrize("length", [64, 63, 1024])
def test_gauss_is_truncated_at_one_hundredth(length):
    deviation = length / 2 / np.sqrt(2 * np.log(100))
    expected = scipy.signal.get_window(("gaussian", deviation), length)
    centered = np.exp(-0.5 * ((np.arange(length) - length / 2) / deviation) ** 2)
    np.testing.assert_allclose(window("gauss", length), centered, atol=1e-6)
    if length % 2 == 0:
        np.testing.assert_allclose(window("gauss", length), expected, atol=1e-6)


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_are_symmetric_about_their_center(name):
    values = window(name, 64)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[1:], values[1:][::-1], atol=1e-7)
    assert values.argmax() == 32 or name == "boxcar"
    assert values[32] == 1


def test_invalid_windows_raise():
    for name in ("hanning-ish", "kaiser"):  # the Kaiser window needs a parameter
        with pytest.raises(
            ValueError, match=f"window '{name}' is unknown: choose one of hann, hamming, .* or a scipy window"
        ):
            window(name, 8)
    with pytest.raises(ValueError, match="a window of 1 samples is too short: at least 2 are needed"):
        window("hann", 1)
