"""Texture statistics compared with SciPy and NumPy; white, modulated and impulsive noise; levels and silence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.stats

from specjax.signal.texture import (
    ENVELOPE_RATE,
    LAGS,
    MODULATION_HZ,
    OCTAVE_HZ,
    cochlear_filters,
    describe_envelopes,
    envelopes,
    modulation_filters,
    octave_filters,
    texture_statistics,
)

RNG = np.random.default_rng(0)
RATE = 8000
NOISE = RNG.standard_normal(RATE).astype(np.float32)
RATE_HZ = 16.0  # of the modulation
MODULATED = (NOISE * (1 + np.sin(2 * np.pi * RATE_HZ * np.arange(RATE) / RATE))).astype(np.float32)
IMPULSES = np.zeros(RATE, np.float32)
IMPULSES[RNG.integers(0, RATE, 8)] = 1.0
ENVELOPES = (0.5 + 0.1 * RNG.gamma(2.0, size=(30, 401))).astype(np.float32)


@pytest.fixture(scope="module")
def envelope_statistics():
    return jax.tree.map(np.asarray, jax.jit(describe_envelopes)(jnp.asarray(ENVELOPES)))


@pytest.fixture(scope="module")
def wave_statistics():
    """Statistics of white noise, modulated noise, impulses, quiet noise and silence."""
    waves = np.stack([NOISE, MODULATED, IMPULSES, 1e-3 * NOISE, 0 * NOISE])
    return jax.tree.map(np.asarray, texture_statistics(jnp.asarray(waves), RATE))


def test_squares_of_the_cochlear_filters_add_up_to_one_between_the_published_outer_centers():
    """The centers are those of section "Auditory model" of McDermott and Simoncelli (2011)."""
    gains, hz = cochlear_filters(22050, 22050), np.arange(11026)
    centers = hz[gains.argmax(axis=1)]
    assert centers[0] == pytest.approx(52, abs=1)
    assert centers[-1] == pytest.approx(8844, abs=1)
    np.testing.assert_allclose(np.sum(gains**2, axis=0)[centers[0] : centers[-1] + 1], 1, atol=0.01)
    assert np.all(gains[:, hz > 10_000] == 0)
    assert np.all(cochlear_filters(8000, 8000).any(axis=1))


def test_modulation_filters_cover_their_range_evenly_and_octaves_are_centered():
    hz = np.fft.rfftfreq(40_000, 1 / ENVELOPE_RATE)
    total = np.sum(modulation_filters(40_000) ** 2, axis=0)
    covered = total[(hz > MODULATION_HZ[3]) & (hz < MODULATION_HZ[-4])]
    assert covered.mean() == pytest.approx(1, abs=0.02)
    assert covered.std() < 0.05
    octaves = octave_filters(40_000)
    np.testing.assert_allclose(hz[octaves.argmax(axis=1)], OCTAVE_HZ, rtol=0.01)
    inside = (hz > OCTAVE_HZ[0]) & (hz < OCTAVE_HZ[-1])
    np.testing.assert_allclose(np.sum(octaves**2, axis=0)[inside], 1, atol=1e-5)


@pytest.mark.parametrize("samples", [7900, 7901])
def test_envelopes_match_scipy(samples):
    """The resampled envelopes have an odd length, for which the highest frequency has only one convention."""
    wave = NOISE[:samples].astype(float)
    unit = wave / np.sqrt(np.mean(wave**2))
    bands = np.fft.irfft(np.fft.rfft(unit) * cochlear_filters(samples, RATE), samples)
    compressed = np.abs(scipy.signal.hilbert(bands)) ** 0.3
    expected = scipy.signal.resample(compressed, round(samples / 20), axis=1)
    result = jax.jit(envelopes, static_argnums=1)(jnp.asarray(NOISE[:samples]), RATE)
    np.testing.assert_allclose(result, expected, atol=2e-3)


def test_marginals_and_correlations_match_scipy(envelope_statistics):
    x = ENVELOPES.astype(float)
    np.testing.assert_allclose(envelope_statistics.mean, x.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(envelope_statistics.variation, scipy.stats.variation(x, axis=1), rtol=1e-3)
    np.testing.assert_allclose(envelope_statistics.skewness, scipy.stats.skew(x, axis=1), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(envelope_statistics.kurtosis, scipy.stats.kurtosis(x, axis=1, fisher=False), rtol=1e-3)
    matrix = np.corrcoef(x)
    expected = np.concatenate([np.diagonal(matrix, lag) for lag in LAGS])
    np.testing.assert_allclose(envelope_statistics.correlation, expected, atol=1e-3)


def test_modulations_match_filtered_envelopes(envelope_statistics):
    times = ENVELOPES.shape[1]
    spectrum = np.fft.rfft(ENVELOPES.astype(float))
    filtered = np.fft.irfft(spectrum[:, None] * modulation_filters(times), times)
    power = filtered.var(axis=-1) / ENVELOPES.var(axis=1, keepdims=True)
    np.testing.assert_allclose(envelope_statistics.modulation_power, power, rtol=1e-3, atol=1e-6)

    octaves = np.fft.irfft(spectrum[:, None] * octave_filters(times), times)
    c1 = [
        [np.corrcoef(octaves[band, n], octaves[band + lag, n])[0, 1] for n in range(1, 7)]
        for lag in (1, 2)
        for band in range(30 - lag)
    ]
    np.testing.assert_allclose(envelope_statistics.modulation_correlation, c1, atol=2e-3)

    analytic = scipy.signal.hilbert(octaves)
    low, high = analytic[:, :-1], analytic[:, 1:]
    doubled = np.abs(low) * np.exp(2j * np.angle(low))
    c2 = np.mean(doubled.conj() * high, axis=-1)
    c2 /= np.sqrt(np.mean(np.abs(low) ** 2, axis=-1) * np.mean(np.abs(high) ** 2, axis=-1))
    np.testing.assert_allclose(envelope_statistics.modulation_phase, np.stack([c2.real, c2.imag], -1), atol=2e-3)


def test_modulated_noise_has_more_power_in_the_band_of_its_modulation(wave_statistics):
    band = np.argmin(np.abs(MODULATION_HZ - RATE_HZ))
    white, modulated = wave_statistics.modulation_power[:2, 10:].mean(axis=1)
    assert modulated[band] > 3 * white[band]
    assert wave_statistics.correlation[1].mean() > wave_statistics.correlation[0].mean() + 0.2


def test_impulses_have_sparse_envelopes_that_rise_together(wave_statistics):
    assert np.all(wave_statistics.kurtosis[2, 15:] > wave_statistics.kurtosis[0, 15:])
    assert np.all(wave_statistics.skewness[2, 15:] > wave_statistics.skewness[0, 15:] + 1)
    assert np.median(wave_statistics.correlation[2]) > np.median(wave_statistics.correlation[0]) + 0.3


def test_statistics_do_not_depend_on_the_level_and_are_finite_for_silence(wave_statistics):
    for values in wave_statistics:
        np.testing.assert_allclose(values[3], values[0], rtol=1e-3, atol=1e-4)
        assert np.all(np.isfinite(values[4]))


def test_vmapped_statistics_are_those_of_a_batch(wave_statistics):
    waves = jnp.asarray(np.stack([NOISE, IMPULSES]))
    result = jax.jit(jax.vmap(lambda wave: texture_statistics(wave, RATE)))(waves)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[::2][:2], rtol=1e-3, atol=1e-4), result, wave_statistics)


def test_waves_that_are_too_short_are_errors():
    with pytest.raises(ValueError, match="at least 0.1 s"):
        texture_statistics(jnp.zeros(700), RATE)
