"""Mel scales, filters, cepstral coefficients and deltas compared with librosa and Matlab."""

from functools import partial

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.io
import scipy.signal

from conftest import modes
from specjax.signal.mel import Mel, delta, hz_to_mel, mel_filters, mel_from_wave, mel_spectrogram, mel_to_hz, mfcc
from specjax.signal.short_time_fourier import Stft, power

RNG = np.random.default_rng(0)
WAVE = RNG.standard_normal(6000).astype(np.float32)
MODES = ["plain", "jit", "vmap", "batch"]


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mel_conversion_matches_librosa(scale):
    hz = np.concatenate([[0.0, 999.9, 1000.0, 1000.1], RNG.uniform(0, 20000, 50)])
    mels = hz_to_mel(hz, scale)
    np.testing.assert_allclose(mels, librosa.hz_to_mel(hz, htk=scale == "htk"), rtol=1e-12)
    np.testing.assert_allclose(mel_to_hz(mels, scale), hz, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(mel_to_hz(mels, scale), librosa.mel_to_hz(mels, htk=scale == "htk"), rtol=1e-12)


@pytest.mark.parametrize("name", ["hz_to_mel", "mel_to_hz"])
@pytest.mark.parametrize("number", range(1, 5))
def test_mel_conversion_matches_matlab(name, number, real_data):
    known = scipy.io.loadmat(real_data / "librosa_test_data" / f"feature-{name}-{number:03d}.mat")
    function = {"hz_to_mel": hz_to_mel, "mel_to_hz": mel_to_hz}[name]
    values = known["f"].astype(float)
    np.testing.assert_allclose(function(values, "htk" if known["htk"].item() else "slaney"), known["result"], rtol=1e-9)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("norm", ["slaney", "none"])
@pytest.mark.parametrize(
    ("rate", "n_fft", "n_mels", "fmin", "fmax"), [(22050, 2048, 128, 0, 0), (8000, 255, 20, 60, 3500)]
)
def test_filters_match_librosa(rate, n_fft, n_mels, fmin, fmax, norm, scale):
    result = mel_filters(Mel(n_mels, float(fmin), float(fmax), scale, norm), rate, n_fft)
    expected = librosa.filters.mel(
        sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax or None, htk=scale == "htk",
        norm=None if norm == "none" else norm,
    )  # fmt: skip
    np.testing.assert_allclose(result, expected, atol=1e-6 * expected.max())


@pytest.mark.filterwarnings("ignore:.*filters")
def test_filters_match_matlab(real_data):
    for path in sorted((real_data / "librosa_test_data").glob("feature-melfb-*.mat")):
        known = scipy.io.loadmat(path, squeeze_me=True)
        if known["width"] != 1:
            continue
        scale = "htk" if known["htk"] else "slaney"
        rate, n_fft = int(known["sr"]), int(known["nfft"])
        top = min(float(known["fmax"]), rate / 2)
        mel = Mel(int(known["nfilts"]), float(known["fmin"]), top, scale, "slaney")
        expected = known["wts"][:, : n_fft // 2 + 1]
        expected[:, n_fft // 2] = mel_filters(mel, rate, n_fft)[:, -1]  # Matlab omits the last bin
        np.testing.assert_allclose(
            mel_filters(mel, rate, n_fft), expected, atol=2e-6 * expected.max(), err_msg=path.name
        )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("scale", "norm"), [("slaney", "slaney"), ("htk", "none")])
def test_mel_spectrograms_match_librosa(mode, scale, norm):
    expected = librosa.feature.melspectrogram(
        y=WAVE,
        sr=22050,
        n_fft=512,
        hop_length=128,
        n_mels=40,
        htk=scale == "htk",
        norm=None if norm == "none" else norm,
    )
    filters = mel_filters(Mel(40, scale=scale, norm=norm), 22050, 512)
    transform = Stft(512, 128)
    result = modes(lambda w: mel_spectrogram(power(w, transform), filters))[mode](jnp.asarray(WAVE))
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6 * expected.max())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lifter", [0.0, 22.0])
def test_mfcc_matches_librosa(mode, lifter):
    energy = (10.0 ** RNG.uniform(-12, 2, (40, 9))).astype(np.float32)
    expected = librosa.feature.mfcc(S=librosa.power_to_db(energy), n_mfcc=13, lifter=lifter)
    result = modes(partial(mfcc, n_mfcc=13, lifter=lifter))[mode](jnp.asarray(energy))
    np.testing.assert_allclose(result, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("width", "order", "frames"), [(9, 1, 30), (9, 2, 30), (3, 1, 3), (5, 1, 12)])
def test_deltas_match_librosa(mode, width, order, frames):
    values = RNG.standard_normal((4, frames)).astype(np.float32)
    result = modes(partial(delta, width=width, order=order))[mode](jnp.asarray(values))
    np.testing.assert_allclose(result, librosa.feature.delta(values, width=width, order=order), atol=1e-5)


def test_deltas_of_polynomials_are_constant():
    np.testing.assert_allclose(delta(3 * jnp.arange(20.0) + 1), 3, rtol=1e-5)
    np.testing.assert_allclose(delta(jnp.arange(20.0) ** 2, order=2), 2, rtol=1e-4)


def test_empty_filters_issue_a_warning():
    with pytest.warns(UserWarning, match="39 of 256 mel filters contain no bin of n_fft=512"):
        mel_filters(Mel(256), 22050, 512)


def test_silence_has_finite_cepstra_and_gradients():
    value, gradient = jax.value_and_grad(lambda p: mfcc(p).sum())(jnp.zeros((128, 4)))
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Mel(0), "n_mels=0"),
        (lambda: Mel(scale="bark"), "scale='bark' is unknown: choose one of slaney, htk"),
        (lambda: Mel(fmin_hz=500.0, fmax_hz=400.0), "fmin_hz=500.0 must be 0 or more and below fmax_hz=400.0"),
        (
            lambda: mel_filters(Mel(fmax_hz=9000.0), 16000, 512),
            "mel filters with fmin_hz=0 and fmax_hz=9000 reach above half the sample rate",
        ),
        (
            lambda: mel_filters(Mel(fmin_hz=8000.0), 16000, 512),
            "mel filters with fmin_hz=8000 and fmax_hz=0 reach above half",
        ),
        (lambda: Mel(fmin_hz=float("nan")), "fmin_hz=nan must be 0 or more"),
        (lambda: Mel(norm="area"), "norm='area' is unknown: choose one of slaney, none"),
        (lambda: hz_to_mel(np.ones(2), "bark"), "scale='bark' is unknown"),
        (lambda: mfcc(jnp.ones((8, 3)), 4, lifter=-1.0), "lifter=-1.0 must be 0 or more"),
        (
            lambda: mel_from_wave(jnp.ones(500), Stft(128, 32), np.ones((4, 33), np.float32)),
            "filters of 33 bins do not fit n_fft=128, which has 65 bins",
        ),
        (lambda: mfcc(jnp.ones((8, 3)), 9), "n_mfcc=9 must lie between 1 and n_mels=8"),
        (lambda: delta(jnp.ones(8), 9), "width=9 must be odd and from 3 to 8"),
        (lambda: delta(jnp.ones(8), 4), "width=4 must be odd"),
    ],
)
def test_invalid_arguments_raise(call, message):
    with pytest.raises(ValueError, match=message):
        call()
