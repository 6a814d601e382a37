"""Synthetic environmental sounds: seeds, range, and how well simple features tell the classes apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.texture.sounds import CLASSES, synthesize
from specjax.signal.mel import Mel, mel_filters, mel_from_wave, mfcc
from specjax.signal.short_time_fourier import Stft

RATE, CLIPS = 16_000, 60
LABELS = np.arange(CLIPS) % len(CLASSES)


def make(seed):
    keys = jax.random.split(jax.random.key(seed), CLIPS)
    return synthesize(keys, jnp.asarray(LABELS), sample_rate=RATE, duration_s=2.0)


@pytest.fixture(scope="module")
def waves():
    return np.asarray(make(0))


def test_clips_are_finite_with_peaks_between_three_tenths_and_one(waves):
    assert len(CLASSES) == 10
    assert waves.shape == (CLIPS, 2 * RATE)
    assert np.all(np.isfinite(waves))
    peaks = np.abs(waves).max(axis=1)
    assert peaks.min() > 0.29
    assert peaks.max() < 0.96
    assert np.unique(peaks.round(4)).size > CLIPS // 2


def test_equal_keys_give_equal_clips_and_others_differ(waves):
    np.testing.assert_array_equal(make(0), waves)
    for label in range(len(CLASSES)):
        same = waves[label == LABELS]
        correlations = np.corrcoef(same)[np.triu_indices(len(same), 1)]
        assert np.abs(correlations).max() < 0.95


def test_nearest_centroid_of_mean_mfccs_names_the_class(waves):
    filters = mel_filters(Mel(40), RATE, 512)
    # The first coefficient is the level, which differs between clips of one class.
    describe = jax.jit(lambda x: jnp.mean(mfcc(mel_from_wave(x, Stft(512, 256), filters), 20)[..., 1:, :], axis=-1))
    train, test = np.asarray(describe(jnp.asarray(waves))), np.asarray(describe(make(1)))
    centroids = np.stack([train[label == LABELS].mean(axis=0) for label in range(len(CLASSES))])
    nearest = np.linalg.norm(test[:, None] - centroids, axis=-1).argmin(axis=1)
    assert np.mean(nearest == LABELS) >= 0.9


@pytest.mark.parametrize("options", [{"sample_rate": 4000}, {"duration_s": 0.1}])
def test_too_short_clips_and_low_sample_rates_are_errors(options):
    with pytest.raises(ValueError, match="use at least 0.5 s at 8000 Hz"):
        synthesize(jax.random.split(jax.random.key(0), 1), jnp.zeros(1, int), **options)
