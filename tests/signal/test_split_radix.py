"""Grouped bins compared with NumPy's FFT; inverse transforms and mel spectrograms computed from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from conftest import modes
from specjax.signal import split_radix
from specjax.signal.mel import Mel, mel_filters, mel_from_wave, mel_spectrogram
from specjax.signal.polar import scaled
from specjax.signal.short_time_fourier import Stft, istft, power, stft

WAVE = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
# Pairs (n_fft, hop_length): hops of a quarter frame and others, and frame lengths that cannot be split.
SIZES = [(128, 32), (128, 50), (8, 2), (120, 30), (100, 25), (101, 25)]
# Every size is tested under jit, and one of them in all modes.
CASES = [*((*size, "jit") for size in SIZES), (128, 32, "plain"), (128, 32, "vmap")]


def numpy_spectra(transform):
    """Spectra of the frames of `WAVE` by NumPy, frames x bins."""
    x = np.pad(WAVE.astype(np.float64), transform.padding)
    count = transform.frames(len(WAVE))
    frames = np.stack([x[t * transform.hop_length :][: transform.n_fft] for t in range(count)])
    return np.fft.rfft(frames * transform.taper())


@pytest.mark.parametrize(("n_fft", "hop", "mode"), CASES)
def test_groups_hold_bins_of_numpy_or_their_conjugates(n_fft, hop, mode):
    transform = Stft(n_fft, hop)
    expected = numpy_spectra(transform)
    groups = modes(lambda w: split_radix.analyze(w, transform))[mode](jnp.asarray(WAVE))
    for group, indices in zip(groups, split_radix.bin_indices(n_fft), strict=True):
        actual, bins = np.asarray(group), expected[:, indices]
        nearest = np.where(np.abs(actual - bins) < np.abs(actual - bins.conj()), bins, bins.conj())
        np.testing.assert_allclose(actual, nearest, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("n_fft", "hop"), SIZES)
def test_every_bin_occurs_once(n_fft, hop):
    np.testing.assert_array_equal(np.sort(np.concatenate(split_radix.bin_indices(n_fft))), np.arange(n_fft // 2 + 1))


@pytest.mark.parametrize(("n_fft", "hop", "mode"), CASES)
def test_synthesis_matches_istft(n_fft, hop, mode):
    transform = Stft(n_fft, hop)

    def resynthesize(wave):  # the ramp over frequency makes the spectrum inconsistent
        groups = split_radix.analyze(wave, transform)
        ramps = split_radix.group_bins(ramp(stft(wave, transform)), n_fft)
        return split_radix.synthesize(tuple(map(scaled, groups, ramps)), transform, 900)

    def ramp(like):
        return jnp.broadcast_to(jnp.linspace(0.0, 1.0, like.shape[-2])[:, None], like.shape[-2:])

    wave = jnp.asarray(WAVE)
    spectrum = stft(wave, transform)
    np.testing.assert_allclose(
        modes(resynthesize)[mode](wave), istft(scaled(spectrum, ramp(spectrum)), transform, 900), atol=2e-5, rtol=1e-4
    )


def test_accelerators_use_a_single_group_in_order(monkeypatch):
    groups_on_cpu = split_radix.analyze(jnp.asarray(WAVE), Stft(128, 32))
    monkeypatch.setattr(split_radix.jax, "default_backend", lambda: "gpu")
    (group,) = split_radix.analyze(jnp.asarray(WAVE), Stft(128, 32))
    assert len(groups_on_cpu) == 3
    np.testing.assert_allclose(group, numpy_spectra(Stft(128, 32)), atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "mode"),
    [((1000,), "plain"), ((1000,), "vmap"), ((1000,), "jit"), ((4, 250), "jit"), ((2, 2, 250), "jit")],
)
def test_mel_from_wave_matches_mel_of_power(shape, mode):
    transform = Stft(64, 16)
    filters = mel_filters(Mel(10), 8000, 64)
    wave = jnp.asarray(WAVE).reshape(shape)
    result = modes(lambda w: mel_from_wave(w, transform, filters))[mode](wave)
    np.testing.assert_allclose(result, mel_spectrogram(power(wave, transform), filters), rtol=1e-4, atol=1e-5)


def test_gradient_of_mel_from_wave_matches_mel_of_power():
    transform, filters = Stft(64, 16), mel_filters(Mel(10), 8000, 64)

    def gradient(mel):
        return jax.jit(jax.grad(lambda w: jnp.sum(jnp.log1p(mel(w)))))(jnp.asarray(WAVE))

    result = gradient(lambda w: mel_from_wave(w, transform, filters))
    np.testing.assert_allclose(result, gradient(lambda w: mel_spectrogram(power(w, transform), filters)), atol=1e-5)
