"""Encoded sounds: rounding, clipping, and sounds that 16 bits cannot hold."""

import io

import numpy as np
import pytest
import soundfile

from specjax.cli import files
from specjax.cli.errors import UserError


def read_integers(wave):
    return soundfile.read(io.BytesIO(files.wav(wave, 8000)), dtype="int16")[0]


def test_samples_are_rounded_to_the_nearest_of_16_bits_and_clipped():
    steps = np.array([-40000, -32768, -1.6, -1.4, -0.4, 0, 0.4, 0.6, 1.4, 32766.7, 40000])
    expected = [-32768, -32768, -2, -1, 0, 0, 0, 1, 1, 32767, 32767]
    np.testing.assert_array_equal(read_integers((steps / 32768).astype(np.float32)), expected)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 100_000).astype(np.float32)
    assert abs(np.mean(read_integers(noise) - noise * 32768.0)) < 0.01


def test_samples_of_16_bits_are_written_unchanged():
    integers = np.arange(-32768, 32768, dtype=np.int16).reshape(2, -1)
    np.testing.assert_array_equal(read_integers(integers / np.float32(32768)), integers.T)


def test_sound_that_is_silent_in_16_bits_is_told(caplog):
    wave = np.array([0, 1e-6, -1e-6], np.float32)
    assert not read_integers(wave).any()
    assert "a sound of peak -120 dB is silent in 16 bits" in caplog.text
    caplog.clear()
    files.wav(np.zeros(3, np.float32), 8000)
    assert not caplog.records


def test_sound_that_is_not_finite_is_an_error():
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(UserError, match="samples that are not finite numbers"):
            files.wav(np.array([0, value], np.float32), 8000)
