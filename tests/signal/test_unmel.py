"""Mel inversion compared with scipy's non-negative least squares, librosa's inverse, and the energies themselves."""

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
def test_power_is_not_negative_and_has_the_given_mel_energies(mode):
    result = np.asarray(modes(partial(mel_to_power, filters=FILTERS))[mode](jnp.asarray(MEL)))
    assert result.min() >= 0
    assert np.linalg.norm(FILTERS @ result - MEL) < 1e-3 * np.linalg.norm(MEL)


def test_unreachable_energies_are_approximated_as_well_as_by_scipy():
    target = np.abs(RNG.standard_normal((20, 4))).astype(np.float32)
    target[::2] *= 0.01  # adjacent filters overlap, so no spectrum has these energies
    result = np.asarray(mel_to_power(jnp.asarray(target), FILTERS, iterations=2000))
    for t in range(4):
        _, residual = scipy.optimize.nnls(FILTERS.astype(float), target[:, t].astype(float))
        assert np.linalg.norm(FILTERS @ result[:, t] - target[:, t]) <= 1.02 * residual + 1e-3


def test_error_is_smaller_than_that_of_a_clipped_pseudoinverse():
    clipped = np.maximum(np.linalg.pinv(FILTERS) @ MEL, 0)
    result = np.asarray(mel_to_power(jnp.asarray(MEL), FILTERS))
    reference = librosa.feature.inverse.mel_to_stft(MEL, sr=8000, n_fft=256) ** 2
    errors = [np.linalg.norm(FILTERS @ x - MEL) for x in (result, clipped, reference)]
    assert errors[0] < 0.1 * errors[1]
    assert errors[0] < errors[2] + 1e-3 * np.linalg.norm(MEL)


def test_default_iterations_suffice_thanks_to_momentum():
    """Plain gradient descent still has an error of one percent after as many steps."""
    filters, rng = mel_filters(Mel(128, scale="htk", norm="none"), 22050, 2048), np.random.default_rng(1)
    power = (rng.standard_normal((1025, 2)) ** 2 * np.exp(-np.arange(1025) / 60)[:, None]).astype(np.float32)
    mel_power = filters @ power
    result = np.asarray(mel_to_power(jnp.asarray(mel_power), filters))
    assert np.linalg.norm(filters @ result - mel_power) < 1.5e-3 * np.linalg.norm(mel_power)


def test_silence_gives_silence():
    np.testing.assert_array_equal(mel_to_power(jnp.zeros((20, 3)), FILTERS), 0)


def test_wrong_number_of_filters_raises_an_error():
    with pytest.raises(ValueError, match="a mel spectrogram of 21 rows does not fit 20 filters"):
        mel_to_power(jnp.ones((21, 3)), FILTERS)
