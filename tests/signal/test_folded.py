"""Groups of bins against numpy's transforms, and what is made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from conftest import modes
from specjax.signal import folded
from specjax.signal.mel import Mel, mel_filters, mel_from_wave, mel_spectrogram
from specjax.signal.polar import scaled
from specjax.signal.stft import Stft, istft, power, stft

WAVE = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
# Hops that are a quarter of the frame, that are not, and lengths of frames that do not fold.
SIZES = [(128, 32), (128, 50), (8, 2), (120, 30), (100, 25), (101, 25)]
# Every size compiled, one of them in every mode.
CASES = [*((*size, "jit") for size in SIZES), (128, 32, "plain"), (128, 32, "vmap")]


def spectra(transform):
    """Of frames, by numpy: frames x bins."""
    x = np.pad(WAVE.astype(np.float64), transform.padding)
    count = transform.frames(len(WAVE))
    frames = np.stack([x[t * transform.hop_length :][: transform.n_fft] for t in range(count)])
    return np.fft.rfft(frames * transform.taper())


@pytest.mark.parametrize(("n_fft", "hop", "mode"), CASES)
def test_groups_hold_numpys_bins_or_their_conjugates(n_fft, hop, mode):
    transform = Stft(n_fft, hop)
    expected = spectra(transform)
    groups = modes(lambda w: folded.analyse(w, transform))[mode](jnp.asarray(WAVE))
    for group, held in zip(groups, folded.bins(n_fft), strict=True):
        found, bins = np.asarray(group), expected[:, held]
        nearest = np.where(np.abs(found - bins) < np.abs(found - bins.conj()), bins, bins.conj())
        np.testing.assert_allclose(found, nearest, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("n_fft", "hop"), SIZES)
def test_every_bin_comes_once(n_fft, hop):
    np.testing.assert_array_equal(np.sort(np.concatenate(folded.bins(n_fft))), np.arange(n_fft // 2 + 1))


@pytest.mark.parametrize(("n_fft", "hop", "mode"), CASES)
def test_the_inverse_is_istft(n_fft, hop, mode):
    transform = Stft(n_fft, hop)

    def halved(wave):  # a spectrum of no wave
        groups = folded.analyse(wave, transform)
        ramps = folded.fold(ramp(stft(wave, transform)), n_fft)
        return folded.synthesise(tuple(map(scaled, groups, ramps)), transform, 900)

    def ramp(like):
        return jnp.broadcast_to(jnp.linspace(0.0, 1.0, like.shape[-2])[:, None], like.shape[-2:])

    wave = jnp.asarray(WAVE)
    spectrum = stft(wave, transform)
    np.testing.assert_allclose(
        modes(halved)[mode](wave), istft(scaled(spectrum, ramp(spectrum)), transform, 900), atol=2e-5, rtol=1e-4
    )


def test_an_accelerator_gets_the_bins_in_their_order(monkeypatch):
    folding = folded.analyse(jnp.asarray(WAVE), Stft(128, 32))
    monkeypatch.setattr(folded.jax, "default_backend", lambda: "gpu")
    (group,) = folded.analyse(jnp.asarray(WAVE), Stft(128, 32))
    assert len(folding) == 3
    np.testing.assert_allclose(group, spectra(Stft(128, 32)), atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "mode"),
    [((1000,), "plain"), ((1000,), "vmap"), ((1000,), "jit"), ((4, 250), "jit"), ((2, 2, 250), "jit")],
)
def test_mel_of_a_wave_is_mel_of_its_power(shape, mode):
    transform = Stft(64, 16)
    filters = mel_filters(Mel(10), 8000, 64)
    wave = jnp.asarray(WAVE).reshape(shape)
    found = modes(lambda w: mel_from_wave(w, transform, filters))[mode](wave)
    np.testing.assert_allclose(found, mel_spectrogram(power(wave, transform), filters), rtol=1e-4, atol=1e-5)


def test_its_gradient_is_that_of_the_power():
    transform, filters = Stft(64, 16), mel_filters(Mel(10), 8000, 64)

    def by(energy):
        return jax.jit(jax.grad(lambda w: jnp.sum(jnp.log1p(energy(w)))))(jnp.asarray(WAVE))

    ours = by(lambda w: mel_from_wave(w, transform, filters))
    np.testing.assert_allclose(ours, by(lambda w: mel_spectrogram(power(w, transform), filters)), atol=1e-5)
