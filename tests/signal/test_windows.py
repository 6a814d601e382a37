"""Windows against scipy's."""

import numpy as np
import pytest
import scipy.signal

from specjax.signal.windows import WINDOWS, window


@pytest.mark.parametrize("length", [2, 63, 64, 1000])
@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "boxcar", "nuttall", "tukey", "triang"])
def test_windows_are_scipys(name, length):
    np.testing.assert_allclose(window(name, length), scipy.signal.get_window(name, length), atol=1e-7)


@pytest.mark.parametrize("length", [64, 63, 1024])
def test_gauss_falls_to_a_hundredth(length):
    deviation = length / 2 / np.sqrt(2 * np.log(100))
    expected = scipy.signal.get_window(("gaussian", deviation), length)
    moved = np.exp(-0.5 * ((np.arange(length) - length / 2) / deviation) ** 2)
    np.testing.assert_allclose(window("gauss", length), moved, atol=1e-6)
    if length % 2 == 0:
        np.testing.assert_allclose(window("gauss", length), expected, atol=1e-6)


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_are_even_about_their_middle(name):
    shape = window(name, 64)
    assert shape.dtype == np.float32
    np.testing.assert_allclose(shape[1:], shape[1:][::-1], atol=1e-7)
    assert shape.argmax() == 32 or name == "boxcar"
    assert shape[32] == 1


def test_bad_windows_are_refused():
    for name in ("hanning-ish", "kaiser"):  # Kaiser's needs a number beside its name
        with pytest.raises(
            ValueError, match=f"window '{name}' is unknown: choose one of hann, hamming, .* or of scipy's"
        ):
            window(name, 8)
    with pytest.raises(ValueError, match="a window of 1 samples: at least 2"):
        window("hann", 1)
