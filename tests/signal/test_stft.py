"""STFT magnitudes against scipy and frames by hand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from conftest import modes
from specjax.signal import stft

RNG = np.random.default_rng(0)
WAVE = RNG.standard_normal(1000)


@pytest.mark.parametrize(
    ("n_fft", "hop", "mode"),
    [(128, 50, "plain"), (128, 50, "vmap")]
    + [(*sizes, "jit") for sizes in ((256, 64), (128, 50), (100, 100), (1000, 7), (64, 100))],
)
def test_magnitudes_are_those_of_windowed_frames(n_fft, hop, mode):
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frames = [WAVE[start : start + n_fft] * window for start in range(0, 1000 - n_fft + 1, hop)]
    expected = np.abs(np.fft.rfft(frames)).T
    function = partial(stft.magnitude, n_fft=n_fft, hop_length=hop)
    result = modes(function)[mode](jnp.asarray(WAVE, jnp.float32))
    assert result.shape == (n_fft // 2 + 1, len(frames))
    np.testing.assert_allclose(result, expected, atol=2e-4)


def test_magnitudes_are_scipys():
    transform = scipy.signal.ShortTimeFFT(scipy.signal.get_window("hann", 256), 64, fs=1)
    # scipy centres its frames and begins before the wave; its frame 2 is the first within.
    expected = np.abs(transform.stft(WAVE, p0=2, p1=14))
    np.testing.assert_allclose(stft.magnitude(jnp.asarray(WAVE, jnp.float32), 256, 64), expected, atol=2e-4)


def test_batches_are_their_waves():
    waves = jnp.asarray(RNG.standard_normal((2, 3, 500)), jnp.float32)
    result = stft.magnitude(waves, 128, 32)
    assert result.shape == (2, 3, 65, 12)
    np.testing.assert_allclose(result[1, 2], stft.magnitude(waves[1, 2], 128, 32), atol=1e-5)


def test_a_sine_peaks_in_its_bin():
    wave = jnp.asarray(np.sin(2 * np.pi * 10 * np.arange(512) / 128), jnp.float32)
    result = np.asarray(stft.magnitude(wave, 128, 32))
    np.testing.assert_array_equal(result.argmax(axis=0), 10)
    np.testing.assert_allclose(result[10], 32, rtol=1e-4)  # half the window's sum
    np.testing.assert_allclose(result[20:], 0, atol=1e-3)


def test_silence_has_a_finite_gradient():
    value, gradient = jax.value_and_grad(lambda w: stft.magnitude(w, 128, 32).sum())(jnp.zeros(300))
    assert float(value) == 0.0
    np.testing.assert_array_equal(gradient, 0.0)


def test_the_gradient_is_the_slope():
    direction = RNG.standard_normal(300)
    wave = RNG.standard_normal(300)
    window = scipy.signal.get_window("hann", 128)

    def total(w):
        return sum(np.abs(np.fft.rfft(w[i : i + 128] * window)).sum() for i in range(0, 173, 32))

    expected = (total(wave + 1e-6 * direction) - total(wave - 1e-6 * direction)) / 2e-6
    gradient = jax.grad(lambda w: stft.magnitude(w, 128, 32).sum())(jnp.asarray(wave, jnp.float32))
    np.testing.assert_allclose(np.sum(np.asarray(gradient) * direction), expected, rtol=1e-3)


def test_the_window_is_periodic_hann():
    np.testing.assert_allclose(stft.hann(64), scipy.signal.get_window("hann", 64), atol=1e-7)
    assert stft.hann(64).dtype == np.float32


def test_a_wave_shorter_than_a_frame_is_refused():
    with pytest.raises(ValueError, match="a wave of 127 samples is shorter than one frame of n_fft=128"):
        stft.magnitude(jnp.zeros(127), 128, 32)
