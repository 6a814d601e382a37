"""Scales of mel power: ranges, statistics, round trips, and the way back to sound."""

import json
from dataclasses import asdict, replace
from functools import partial

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from conftest import modes
from specjax.cli.config import to_dataclass
from specjax.papers.melody.data import measure_statistics
from specjax.papers.melody.mel_clips import Music
from specjax.papers.melody.representation import FRAMES, MELS, SAMPLE_RATE, Representation, Statistics
from specjax.signal.inversion import Inversion

FAST = Inversion("fast_griffin_lim", ("zero",), iterations=16, mel_steps=0)


@pytest.fixture(scope="module")
def music():
    """Two genres with levels from 100 dB below the peak; the second clip of the second genre is a repetition."""
    level_db = np.random.default_rng(0).uniform(-100, 0, (2, 2, MELS, 40)) - np.linspace(0, 30, MELS)[:, None]
    mel = np.float32(5e3 * 10 ** (level_db / 10))
    mel[1, 1] = mel[1, 0]
    return Music(mel, np.array([2, 1], np.int32), np.array([[0, 1], [2, 2]], np.int32))


@pytest.fixture(scope="module")
def statistics(music):
    return measure_statistics(music)


def test_statistics_are_those_of_the_different_clips(music, statistics):
    different = np.concatenate([music.mel[0, 0], music.mel[0, 1], music.mel[1, 0]], axis=1).astype(float)
    level_db = 10 * np.log10(different / different.max() + 1e-8)
    assert statistics.peak_power == different.max()
    np.testing.assert_allclose(statistics.mean_db, level_db.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(statistics.deviation_db, level_db.std(axis=1), rtol=1e-5)


def test_levels_are_standardized_in_each_band(music, statistics):
    values = Representation(statistics=statistics).encode(jnp.asarray(music.mel[[0, 0, 1], [0, 1, 0]]))
    assert jnp.abs(values).max() <= 1
    np.testing.assert_allclose(3 * jnp.mean(values, axis=(0, 2)), np.zeros(MELS), atol=1e-4)
    np.testing.assert_allclose(3 * jnp.std(values, axis=(0, 2)), np.ones(MELS), rtol=1e-3)


@pytest.mark.parametrize(("scale", "tolerance"), [("power", 1e-6), ("signed_power", 1e-6), ("db", 1e-4)])
def test_decode_inverts_encode(music, statistics, scale, tolerance):
    representation = Representation(scale=scale, statistics=statistics)
    mel = jnp.asarray(music.mel[0, 0])
    for name, encode in modes(representation.encode).items():
        values = encode(mel)
        assert values.min() >= (0 if scale == "power" else -1)
        assert values.max() <= 1
        error = (representation.decode(values) - mel) / statistics.peak_power
        assert jnp.abs(error).max() < tolerance, name


def test_level_does_not_depend_on_the_clip(music, statistics):
    representation = Representation(statistics=statistics)
    quiet = jnp.asarray(0.5 * music.mel[0, 0])
    loud = representation.decode(representation.encode(2.0 * quiet))
    np.testing.assert_allclose(loud.sum() / quiet.sum(), 2, rtol=1e-3)


def test_silence_and_bands_that_are_always_silent_are_finite():
    mel = np.zeros((1, 1, MELS, 8), np.float32)
    mel[..., 3, 4] = 2.0
    measured = measure_statistics(Music(mel, np.ones(1, np.int32), np.zeros((1, 1), np.int32)))
    representation = Representation(statistics=measured)
    values, gradient = jax.value_and_grad(lambda x: jnp.sum(representation.encode(x)))(jnp.zeros((MELS, 8)))
    assert jnp.isfinite(values)
    assert jnp.all(jnp.isfinite(gradient))
    assert representation.decode(representation.encode(jnp.zeros((MELS, 8)))).max() < 1e-10
    assert jnp.all(jnp.isfinite(representation.decode(jnp.full((MELS, 8), 50.0))))


def test_statistics_survive_a_config_file(statistics):
    representation = Representation(statistics=statistics)
    assert to_dataclass(Representation, json.loads(json.dumps(asdict(representation)))) == representation


def test_sound_has_the_pitch_and_level_of_the_mel_power(statistics):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(64 * 512) / SAMPLE_RATE).astype(np.float32)
    mel = librosa.feature.melspectrogram(y=tone, sr=SAMPLE_RATE, htk=True, norm=None, pad_mode="reflect")
    representation = Representation(scale="power", statistics=replace(statistics, peak_power=float(mel.max())))
    wave = np.asarray(representation.to_wave(representation.encode(jnp.asarray(mel)), FAST))
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    assert spectrum.argmax() * SAMPLE_RATE / len(wave) == pytest.approx(440, abs=8)
    assert np.std(wave) == pytest.approx(np.std(tone), rel=0.2)


@pytest.mark.parametrize(
    ("frames", "length", "samples"), [(FRAMES, None, 10 * 22050), (20, None, 19 * 512), (20, 9999, 9999)]
)
def test_length_of_the_sound(statistics, frames, length, samples):
    to_wave = partial(Representation(statistics=statistics).to_wave, settings=FAST, length=length)
    assert jax.eval_shape(to_wave, jnp.zeros((2, MELS, frames))).shape == (2, samples)


def test_wrong_settings_raise(statistics):
    with pytest.raises(ValueError, match="range_db=0.0 must be above 0"):
        Representation(range_db=0.0)
    with pytest.raises(ValueError, match="statistics is not set: measure it"):
        Representation().encode(jnp.zeros((MELS, 4)))
    with pytest.raises(ValueError, match="mean_db has 1 values and deviation_db 1, expected one for each of 128"):
        Statistics(1.0, (0.0,), (1.0,))
    with pytest.raises(ValueError, match="peak_power=0.0 must be above 0"):
        replace(statistics, peak_power=0.0)
