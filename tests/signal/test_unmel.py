"""Non-negative least squares against scipy's, librosa's inverse, and its own optimality."""

from functools import partial

import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.optimize

from conftest import modes
from specjax.signal.mel import Mel, mel_filters
from specjax.signal.unmel import mel_to_power

RNG = np.random.default_rng(0)
FILTERS = mel_filters(Mel(20), 8000, 256)
POWER = (RNG.standard_normal((129, 6)) ** 2 * np.exp(-np.arange(129) / 30)[:, None]).astype(np.float32)
MEL = FILTERS @ POWER


@pytest.mark.parametrize("mode", ["plain", "jit", "vmap", "batch"])
def test_energies_are_met_by_nothing_negative(mode):
    result = np.asarray(modes(partial(mel_to_power, filters=FILTERS))[mode](jnp.asarray(MEL)))
    assert result.min() >= 0
    assert np.linalg.norm(FILTERS @ result - MEL) < 1e-3 * np.linalg.norm(MEL)


def test_what_no_spectrum_has_is_met_as_nearly_as_scipys():
    asked = np.abs(RNG.standard_normal((20, 4))).astype(np.float32)
    asked[::2] *= 0.01  # neighbours overlap, so that no spectrum does this
    result = np.asarray(mel_to_power(jnp.asarray(asked), FILTERS, iterations=2000))
    for t in range(4):
        _, least = scipy.optimize.nnls(FILTERS.astype(float), asked[:, t].astype(float))
        assert np.linalg.norm(FILTERS @ result[:, t] - asked[:, t]) <= 1.02 * least + 1e-3


def test_it_is_nearer_than_clipping():
    clipped = np.maximum(np.linalg.pinv(FILTERS) @ MEL, 0)
    ours = np.asarray(mel_to_power(jnp.asarray(MEL), FILTERS))
    librosas = librosa.feature.inverse.mel_to_stft(MEL, sr=8000, n_fft=256) ** 2
    misses = [np.linalg.norm(FILTERS @ x - MEL) for x in (ours, clipped, librosas)]
    assert misses[0] < 0.1 * misses[1]
    assert misses[0] < misses[2] + 1e-3 * np.linalg.norm(MEL)


def test_momentum_takes_it_there_in_time():
    """After as many steps along the gradient alone, a hundredth is still missing."""
    filters, rng = mel_filters(Mel(128, scale="htk", norm="none"), 22050, 2048), np.random.default_rng(1)
    power = (rng.standard_normal((1025, 2)) ** 2 * np.exp(-np.arange(1025) / 60)[:, None]).astype(np.float32)
    mel_power = filters @ power
    found = np.asarray(mel_to_power(jnp.asarray(mel_power), filters))
    assert np.linalg.norm(filters @ found - mel_power) < 1.5e-3 * np.linalg.norm(mel_power)


def test_silence_stays_silent():
    np.testing.assert_array_equal(mel_to_power(jnp.zeros((20, 3)), FILTERS), 0)


def test_other_filters_are_refused():
    with pytest.raises(ValueError, match="a mel spectrogram of 21 rows is not of 20 filters"):
        mel_to_power(jnp.ones((21, 3)), FILTERS)
