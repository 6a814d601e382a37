"""Brightness and density of music and pictures, compared with librosa and SciPy."""

import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.ndimage

from specjax.papers.mvnet.features import measure_music, measure_pictures
from specjax.papers.mvnet.representation import CLIP_SAMPLES, SAMPLE_RATE, clip_mel

TIME_S = np.arange(CLIP_SAMPLES) / SAMPLE_RATE


def notes(interval_s, hz):
    """Decaying harmonic notes, one every `interval_s`."""
    age = TIME_S % interval_s
    wave = sum(np.sin(2 * np.pi * k * hz * age) / k for k in range(1, 6))
    return (0.2 * wave * np.minimum(age / 0.005, 1) * np.exp(-4 * age)).astype(np.float32)


WAVES = np.stack([notes(1.0, 200), notes(0.5, 400), notes(0.25, 800), notes(0.15, 1600)])


@pytest.fixture(scope="module")
def features():
    return measure_music(clip_mel(jnp.asarray(WAVES)))


def test_onset_rate_is_that_of_the_notes(features):
    np.testing.assert_allclose(features.onset_rate_hz, [1 / 1.0, 1 / 0.5, 1 / 0.25, 1 / 0.15], rtol=0.2)


def test_centroid_is_close_to_that_of_librosa(features):
    for wave, centroid_hz in zip(WAVES, np.asarray(features.centroid_hz), strict=True):
        magnitude = np.abs(librosa.stft(wave, n_fft=1024, hop_length=256)) ** 2
        hz = librosa.fft_frequencies(sr=SAMPLE_RATE, n_fft=1024)
        # The filters add up the power, so compare the mean of band magnitudes.
        filters = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=1024)
        corners = librosa.mel_frequencies(130, fmax=SAMPLE_RATE / 2)
        energy = (filters * (corners[2:] - corners[:-2])[:, None] / 2) @ magnitude
        expected = np.sum(np.sqrt(energy) * corners[1:-1, None]) / np.sqrt(energy).sum()
        assert hz[0] == 0
        np.testing.assert_allclose(centroid_hz, expected, rtol=0.02)


def test_silence_has_no_brightness_and_no_onsets():
    silent = measure_music(jnp.zeros((1, 128, 256, 3)))
    assert silent.centroid_hz.tolist() == silent.onset_rate_hz.tolist() == [0]


def test_luminance_and_edge_density_are_those_of_scipy():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    features = measure_pictures(jnp.asarray(pictures))
    for i, picture in enumerate(pictures):
        luma = picture / 255 @ np.array([0.299, 0.587, 0.114])
        slope = np.hypot(scipy.ndimage.sobel(luma, axis=0), scipy.ndimage.sobel(luma, axis=1))
        np.testing.assert_allclose(features.luminance[i], luma.mean(), rtol=1e-4)
        np.testing.assert_allclose(features.edge_density[i], slope.mean() / luma.std(), rtol=1e-4)


def test_edge_density_does_not_depend_on_contrast_and_is_0_for_one_color():
    picture = np.random.default_rng(0).integers(0, 200, (1, 64, 64, 3)).astype(np.float32)
    full, half = measure_pictures(jnp.asarray(picture)), measure_pictures(jnp.asarray(picture / 2 + 50))
    np.testing.assert_allclose(full.edge_density, half.edge_density, rtol=1e-3)
    assert measure_pictures(jnp.full((1, 64, 64, 3), 7.0)).edge_density.tolist() == [0]
