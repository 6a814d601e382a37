"""Features compared with librosa and SciPy; spectra with a single bin; silence."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.stats

from conftest import modes
from specjax.signal.features import (
    bin_frequencies,
    flatness,
    log_frequency_filters,
    moments,
    rms,
    rolloff_hz,
    zero_crossings,
)
from specjax.signal.short_time_fourier import Stft

RNG = np.random.default_rng(0)
RATE, N_FFT = 22050, 512
HZ = bin_frequencies(N_FFT, RATE)
MAGNITUDE = (RNG.uniform(0, 1, (257, 11)) ** 4).astype(np.float32)
WAVE = RNG.standard_normal(6000).astype(np.float32)
MODES = ["plain", "jit", "vmap", "batch"]


@pytest.mark.parametrize("mode", MODES)
def test_centroid_and_bandwidth_match_librosa(mode):
    result = modes(lambda m: moments(m, HZ))[mode](jnp.asarray(MAGNITUDE))
    options = {"S": MAGNITUDE, "sr": RATE, "n_fft": N_FFT}
    np.testing.assert_allclose(result.centroid_hz, librosa.feature.spectral_centroid(**options)[0], rtol=1e-5)
    np.testing.assert_allclose(result.bandwidth_hz, librosa.feature.spectral_bandwidth(**options)[0], rtol=1e-5)


def test_skewness_and_kurtosis_match_scipy():
    """A spectrum of small integers is compared with a sample in which each frequency is repeated that many times."""
    counts = RNG.integers(0, 9, 257)
    sample = np.repeat(HZ.astype(float), counts)
    result = moments(jnp.asarray(counts, jnp.float32)[:, None], HZ)
    np.testing.assert_allclose(result.skewness[0], scipy.stats.skew(sample), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(result.kurtosis[0], scipy.stats.kurtosis(sample, fisher=False), rtol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_flatness_and_rolloff_match_librosa(mode):
    flat = modes(flatness)[mode](jnp.asarray(MAGNITUDE))
    np.testing.assert_allclose(flat, librosa.feature.spectral_flatness(S=MAGNITUDE)[0], rtol=1e-4)
    rolloff = modes(lambda m: rolloff_hz(m, HZ, share=0.7))[mode](jnp.asarray(MAGNITUDE))
    expected = librosa.feature.spectral_rolloff(S=MAGNITUDE, sr=RATE, n_fft=N_FFT, roll_percent=0.7)[0]
    np.testing.assert_allclose(rolloff, expected, rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("center", [True, False])
def test_rms_and_zero_crossings_match_librosa(mode, center):
    transform = Stft(512, 100, center=center)
    envelope = modes(lambda w: rms(w, transform))[mode](jnp.asarray(WAVE))
    expected = librosa.feature.rms(y=WAVE, frame_length=512, hop_length=100, center=center)[0]
    np.testing.assert_allclose(envelope, expected, rtol=1e-5)
    transform = Stft(512, 100, center=center, pad_mode="edge")
    crossings = modes(lambda w: zero_crossings(w, transform))[mode](jnp.asarray(WAVE))
    expected = librosa.feature.zero_crossing_rate(WAVE, frame_length=512, hop_length=100, center=center)[0]
    np.testing.assert_allclose(crossings, expected, rtol=1e-6)


def test_samples_below_threshold_do_not_cross_zero():
    wave = 1e-11 * RNG.standard_normal(3000).astype(np.float32)
    np.testing.assert_array_equal(zero_crossings(jnp.asarray(wave)), librosa.feature.zero_crossing_rate(wave)[0])
    np.testing.assert_array_equal(zero_crossings(jnp.asarray(wave)), 0)


def test_log_frequency_filters_are_centered_on_their_frequencies():
    filters = log_frequency_filters(4096, RATE, bands=72, bands_per_octave=12, fmin_hz=110.0)
    center_hz = 110 * 2 ** (np.arange(72) / 12)
    assert filters.shape == (72, 2049)
    np.testing.assert_allclose(filters.sum(axis=1), 1, rtol=1e-5)
    weighted_hz = filters @ bin_frequencies(4096, RATE)
    # The tolerance is wide because a triangle over frequency in Hz is slightly skewed upwards.
    np.testing.assert_allclose(weighted_hz, center_hz, rtol=0.02)
    octaves = np.abs(np.diff(np.log2(weighted_hz)))
    np.testing.assert_allclose(octaves[24:], 1 / 12, rtol=0.02)


def test_tone_is_strongest_in_its_band():
    filters = log_frequency_filters(2048, RATE, bands=60, fmin_hz=110.0)
    for band in (20, 35, 59):
        spectrum = np.zeros(1025, np.float32)
        spectrum[round(110 * 2 ** (band / 12) * 2048 / RATE)] = 1
        assert (filters @ spectrum).argmax() == band


def test_degenerate_spectra_have_finite_values_and_gradients():
    one_bin = np.zeros((257, 1), np.float32)
    one_bin[30] = 2.0
    for magnitude in (np.zeros((257, 2), np.float32), np.ones((257, 2), np.float32), one_bin):

        def sum_of_features(m):
            return sum(jnp.sum(x) for x in moments(m, HZ)) + jnp.sum(flatness(m)) + jnp.sum(rolloff_hz(m, HZ))

        value, gradient = jax.jit(jax.value_and_grad(sum_of_features))(jnp.asarray(magnitude))
        assert np.isfinite(value)
        assert np.all(np.isfinite(gradient))
    result = moments(jnp.asarray(one_bin), HZ)
    assert float(result.centroid_hz[0]) == pytest.approx(HZ[30])
    assert float(result.bandwidth_hz[0]) == pytest.approx(0, abs=1e-2)


def test_moments_of_silence_are_zero():
    result = moments(jnp.zeros((9, 2)), np.arange(9, dtype=np.float32))
    assert all(np.all(np.asarray(values) == 0) for values in result)


def test_rms_and_zero_crossings_of_silence_are_zero_with_zero_gradient():
    value, gradient = jax.jit(jax.value_and_grad(lambda w: rms(w).sum()))(jnp.zeros(3000))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)
    np.testing.assert_array_equal(zero_crossings(jnp.zeros(3000)), 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rolloff_hz(jnp.ones((257, 2)), HZ, share=1.0), "share=1.0 must lie between 0 and 1, both excluded"),
        (lambda: log_frequency_filters(512, 8000, bands=84), "84 bands from 32.7032 Hz reach .* above half"),
        (lambda: log_frequency_filters(512, 8000, bands=0), "bands=0"),
        (lambda: rms(jnp.ones(10), Stft(64, 16, center=False)), "a wave of 10 samples is shorter than one frame"),
    ],
)
def test_invalid_arguments_raise(call, message):
    with pytest.raises(ValueError, match=message):
        call()
