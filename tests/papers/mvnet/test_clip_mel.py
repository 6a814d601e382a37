"""Mel spectrograms of clips: the paper's shape, librosa's values, and the standardized levels."""

import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.mvnet.representation import CLIP_SAMPLES, SAMPLE_RATE, Representation, Statistics, clip_mel

# The authors cut a clip at these samples.
BOUNDS = [int(i * 2.97 * SAMPLE_RATE) for i in range(4)]


@pytest.fixture(scope="module")
def wave():
    random = np.random.default_rng(0)
    chirp = np.sin(2 * np.pi * np.cumsum(np.linspace(100, 5000, CLIP_SAMPLES)) / SAMPLE_RATE)
    return (0.4 * chirp + 0.01 * random.normal(size=CLIP_SAMPLES)).astype(np.float32)


@pytest.fixture(scope="module")
def mel(wave):
    return np.asarray(clip_mel(jnp.asarray(wave)))


def test_thirds_of_a_clip_are_channels_with_the_mel_power_of_librosa(wave, mel):
    import librosa

    assert mel.shape == (128, 256, 3)
    for third in range(3):
        part = wave[BOUNDS[third] : BOUNDS[third + 1]]
        expected = librosa.feature.melspectrogram(y=part, sr=SAMPLE_RATE, n_fft=1024, hop_length=256, n_mels=128)
        # The authors' second third has one sample more, at its end, which the last two frames contain.
        np.testing.assert_allclose(mel[:, :-2, third], expected[:, :-2], rtol=1e-3, atol=1e-5 * expected.max())
        if third != 1:
            np.testing.assert_allclose(mel[..., third], expected, rtol=1e-3, atol=1e-5 * expected.max())


def test_scale_log_standardizes_the_level_of_each_band(mel):
    level_db = 10 * np.log10(mel.astype(float) + 1e-5)
    mean, deviation = level_db.mean(axis=(1, 2)), level_db.std(axis=(1, 2))
    representation = Representation("log", Statistics(tuple(mean.tolist()), tuple(deviation.tolist())))
    values = np.asarray(representation.encode(jnp.asarray(np.stack([mel, mel]))))
    expected = (level_db - mean[:, None, None]) / deviation[:, None, None]
    np.testing.assert_allclose(values, np.stack([expected, expected]), atol=1e-3)


def test_scale_power_changes_nothing_and_log_needs_statistics(mel):
    np.testing.assert_array_equal(Representation("power").encode(jnp.asarray(mel)), mel)
    with pytest.raises(ValueError, match="statistics is not set"):
        Representation("log").encode(jnp.asarray(mel))


def test_silence_and_constant_bands_have_finite_values():
    statistics = Statistics((-50.0,) * 128, (0.0,) * 128)
    values = Representation("log", statistics).encode(jnp.zeros((128, 256, 3)))
    assert np.all(np.isfinite(values))


def test_statistics_of_another_number_of_bands_are_an_error():
    with pytest.raises(ValueError, match="expected one for each of 128 mel bands"):
        Statistics((0.0,), (1.0,))
