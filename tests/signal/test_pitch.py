"""Fundamental frequency compared with librosa's YIN and known tones; harmonicity of mixtures of tone and noise."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from conftest import modes
from specjax.signal.pitch import harmonicity, yin
from specjax.signal.short_time_fourier import Stft

RATE = 8000
FRAMES = Stft(1024, 256)
RANGE = {"fmin_hz": 80.0, "fmax_hz": 800.0}
TIME_S = np.arange(RATE) / RATE
INNER = slice(3, -3)  # frames without padding


def tone(hz, harmonics=6):
    return sum(np.sin(2 * np.pi * hz * k * TIME_S + k) / k for k in range(1, harmonics + 1)).astype(np.float32)


def glide():
    phase = 2 * np.pi * np.cumsum(120 + 300 * TIME_S) / RATE
    noise = 0.05 * np.random.default_rng(0).standard_normal(RATE)
    return (np.sin(phase) + 0.5 * np.sin(2 * phase) + noise).astype(np.float32)


@pytest.mark.parametrize("mode", ["plain", "jit", "vmap", "batch"])
def test_pitch_matches_librosa(mode):
    wave = glide()
    result = modes(lambda w: yin(w, RATE, transform=FRAMES, **RANGE))[mode](jnp.asarray(wave))
    expected = librosa.yin(wave.astype(float), fmin=80, fmax=800, sr=RATE, frame_length=1024, hop_length=256)
    assert result.shape == expected.shape
    assert np.mean(np.isclose(result, expected, rtol=1e-3)) >= 0.95, (
        "a rare tie between two minima may be broken differently"
    )
    np.testing.assert_allclose(result[INNER], expected[INNER], rtol=1e-3)


@pytest.mark.parametrize("hz", [97.3, 220.0, 415.3, 523.0])
def test_pitch_of_a_tone_is_its_frequency(hz):
    result = yin(jnp.asarray(tone(hz)), RATE, transform=FRAMES, **RANGE)
    cents = 1200 * np.log2(np.asarray(result)[INNER] / hz)
    np.testing.assert_allclose(cents, 0, atol=10)


def test_harmonicity_is_high_for_a_tone_and_low_for_noise():
    noise = np.random.default_rng(0).standard_normal(RATE)
    options = {"transform": FRAMES, **RANGE}

    def measure(wave):
        return harmonicity(jnp.asarray(wave, jnp.float32), RATE, **options)[INNER]

    assert np.min(measure(tone(220.0) + 0.3)) > 0.98, "a constant offset does not count"
    assert np.median(measure(noise)) < 0.35
    brown = np.cumsum(noise)
    assert np.median(measure(brown / np.abs(brown).max())) < 0.6, "a slowly decaying autocorrelation is not a period"
    assert np.max(measure(np.sin(2 * np.pi * 20 * TIME_S))) < 0.1, "nor is a period longer than the search range"


def test_harmonicity_matches_float64_reference():
    """Reference: highest peak, refined by a parabola, of the autocorrelation divided by that of the window."""
    wave = glide()
    frames = np.lib.stride_tricks.sliding_window_view(wave.astype(float), 1024)[::256]
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    shortest, longest = RATE // 800, RATE // 80

    def correlation(x):
        return np.array([np.dot(x[: len(x) - k], x[k:]) for k in range(longest + 1)])

    expected = []
    for frame in frames:
        r = correlation((frame - frame.mean()) * taper)
        r = r / r[0] / (correlation(taper) / np.dot(taper, taper))
        peaks = [
            r[k] - (r[k + 1] - r[k - 1]) ** 2 / (8 * (r[k - 1] - 2 * r[k] + r[k + 1]))
            for k in range(shortest, longest)
            if r[k] > r[k - 1] and r[k] >= r[k + 1]
        ]
        expected.append(min(max([*peaks, 0]), 1))
    result = harmonicity(jnp.asarray(wave), RATE, transform=Stft(1024, 256, center=False), **RANGE)
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_period_is_the_first_minimum_below_the_threshold():
    """If every second period differs slightly, the threshold decides between the period and its double."""
    wave = tone(200.0) + 0.3 * np.sin(2 * np.pi * 100 * TIME_S).astype(np.float32)
    for threshold, hz in ((0.05, 100), (0.2, 200)):
        result = yin(jnp.asarray(wave), RATE, transform=FRAMES, threshold=threshold, **RANGE)
        np.testing.assert_allclose(result[INNER], hz, rtol=0.01)


@pytest.mark.parametrize("fraction", [0.5, 0.8, 0.95])
def test_harmonicity_is_the_fraction_of_power_in_the_tone(fraction):
    clean = tone(220.0, 3)
    noise = np.random.default_rng(1).standard_normal(RATE)
    mixture = clean / clean.std() * np.sqrt(fraction) + noise / noise.std() * np.sqrt(1 - fraction)
    measured = harmonicity(jnp.asarray(mixture, jnp.float32), RATE, transform=FRAMES, **RANGE)[INNER]
    assert np.mean(measured) == pytest.approx(fraction, abs=0.06)


@pytest.mark.parametrize("mode", ["jit", "vmap", "batch"])
def test_harmonicity_is_the_same_in_every_mode(mode):
    wave = jnp.asarray(glide())
    function = modes(lambda w: harmonicity(w, RATE, transform=FRAMES, **RANGE))
    np.testing.assert_allclose(function[mode](wave), function["plain"](wave), atol=1e-5)


@pytest.mark.parametrize("wave", [np.zeros(4000), np.ones(4000), np.eye(1, 4000, 2000)[0]])
def test_degenerate_waves_have_finite_values_and_gradients(wave):
    for function in (yin, harmonicity):
        value_and_gradient = jax.jit(
            jax.value_and_grad(lambda w, f=function: f(w, RATE, transform=FRAMES, **RANGE).sum())
        )
        value, gradient = value_and_gradient(jnp.asarray(wave, jnp.float32))
        assert np.isfinite(value)
        assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ((0.0, 400.0), "fmin_hz=0.0 must be above 0"),
        ((400.0, 300.0), "fmin_hz=400.0 must be above 0 and below fmax_hz=300.0"),
        ((100.0, 5000.0), "at most half of the sample rate of 8000 Hz"),
        ((5.0, 400.0), "too short for fmin_hz=5.0: they must be longer than 1 x 1600 samples"),
        ((100.0, 101.0), "no period lies between 100.0 and 101.0 Hz"),
    ],
)
def test_invalid_frequency_ranges_raise(limits, message):
    with pytest.raises(ValueError, match=message):
        yin(jnp.zeros(4000), RATE, fmin_hz=limits[0], fmax_hz=limits[1], transform=FRAMES)
