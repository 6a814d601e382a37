"""STFT compared with librosa, SciPy and Matlab; its inverse; properties of both."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.io
import scipy.signal
import soundfile

from conftest import modes
from specjax.signal.framing import frame, overlap_add
from specjax.signal.polar import squared
from specjax.signal.short_time_fourier import PAD_MODES, Stft, istft, magnitude, power, stft
from specjax.signal.windows import WINDOWS

RNG = np.random.default_rng(0)
WAVE = RNG.standard_normal(1000).astype(np.float32)
SIZES = [(128, 50, 0), (256, 64, 0), (100, 100, 0), (64, 100, 0), (101, 7, 0), (256, 64, 200), (64, 1, 0), (70, 2, 0)]


def librosa_stft(wave, t):
    return librosa.stft(
        wave, n_fft=t.n_fft, hop_length=t.hop_length, win_length=t.win_length or None, window=t.window, center=t.center,
        pad_mode=t.pad_mode,
    )  # fmt: skip


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("sizes", SIZES)
def test_stft_matches_librosa(sizes, center):
    transform = Stft(*sizes[:2], win_length=sizes[2], center=center)
    result = stft(jnp.asarray(WAVE), transform)
    expected = librosa_stft(WAVE, transform)
    assert result.shape == expected.shape == (transform.bins, transform.frames(1000))
    np.testing.assert_allclose(result, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("pad_mode", PAD_MODES)
def test_padding_matches_librosa(pad_mode):
    transform = Stft(128, 32, pad_mode=pad_mode)
    np.testing.assert_allclose(stft(jnp.asarray(WAVE), transform), librosa_stft(WAVE, transform), atol=1e-4)


@pytest.mark.parametrize("mode", ["plain", "jit", "vmap", "batch"])
def test_stft_and_istft_agree_in_every_mode(mode):
    transform = Stft(128, 32, "hamming")
    wave = jnp.asarray(WAVE)
    spectrum = modes(partial(stft, transform=transform))[mode](wave)
    np.testing.assert_allclose(spectrum, librosa_stft(WAVE, transform), atol=1e-4)
    restored = modes(partial(istft, transform=transform, length=1000))[mode](spectrum)
    np.testing.assert_allclose(restored, WAVE, atol=1e-5)


def test_stft_matches_scipy():
    transform = scipy.signal.ShortTimeFFT(scipy.signal.get_window("hann", 256), 64, fs=1)
    # SciPy centers its frames and begins before the wave; its frame 2 is the first that lies within.
    expected = np.abs(transform.stft(WAVE, p0=2, p1=14))
    np.testing.assert_allclose(magnitude(jnp.asarray(WAVE), Stft(256, 64, center=False)), expected, atol=2e-4)


@pytest.mark.parametrize("number", ["001", "002", "006"])
def test_stft_matches_matlab(number, real_data):
    known = scipy.io.loadmat(real_data / "librosa_test_data" / f"core-stft-{number}.mat", squeeze_me=True)
    wave, _ = soundfile.read(
        real_data / "librosa_test_data" / Path(str(known["wavfile"])).name, dtype="float32", always_2d=True
    )
    window = "hann" if known["hann_w"] else "boxcar"
    spectrum = stft(
        jnp.asarray(wave.mean(axis=1)), Stft(int(known["nfft"]), int(known["hop_length"]), window, center=False)
    )
    expected = known["D"].conj()  # the transpose operator of Matlab also conjugates
    np.testing.assert_allclose(spectrum, expected, atol=1e-5 * np.abs(expected).max())


def test_istft_matches_matlab(real_data):
    known = scipy.io.loadmat(real_data / "librosa_test_data" / "core-istft-001.mat", squeeze_me=True)
    transform = Stft(int(known["nfft"]), int(known["hop_length"]), "boxcar", center=False)
    wave = istft(jnp.asarray(known["D"].conj().astype(np.complex64)), transform)
    inner = slice(64, -64)  # two frames overlap there, and Matlab adds them without dividing
    np.testing.assert_allclose(2 * wave[inner], known["Dinv"][inner], atol=1e-5)


@pytest.mark.filterwarnings("ignore:no frame covers")
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(
    ("n_fft", "hop", "win", "name"),
    [
        *(
            (*sizes, name)
            for sizes in [(128, 32, 0), (128, 50, 0), (100, 30, 80), (101, 25, 0)]
            for name in (*WINDOWS, "nuttall")
        ),
        # Frames that touch without overlapping need windows that are not zero at their edges.
        *((64, 64, 0, name) for name in WINDOWS if name not in ("hann", "blackman")),
    ],
)
def test_istft_restores_the_wave(n_fft, hop, win, name, center):
    transform = Stft(n_fft, hop, name, win, center)
    restored = np.asarray(istft(stft(jnp.asarray(WAVE), transform), transform, 1000))
    covered = transform.samples(transform.frames(1000))
    # Without centering, the first and last samples lie under the edge of one window only.
    reliable = slice(0, min(covered, 1000)) if center else slice(n_fft, covered - n_fft)
    np.testing.assert_allclose(restored[reliable], WAVE[reliable], atol=1e-4)
    assert restored.shape == (1000,)


@pytest.mark.filterwarnings("ignore:no frame covers")
@pytest.mark.parametrize("length", [None, 700, 1300])
@pytest.mark.parametrize("sizes", [(128, 32), (101, 25), (256, 100)])
def test_istft_of_inconsistent_spectrum_matches_librosa(sizes, length):
    transform = Stft(*sizes)
    shape = (transform.bins, 12)
    spectrum = (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)).astype(np.complex64)
    expected = librosa.istft(spectrum, n_fft=sizes[0], hop_length=sizes[1], length=length)
    result = istft(jnp.asarray(spectrum), transform, length)
    inner = slice(sizes[0], 12 * sizes[1] - 2 * sizes[0])  # librosa does not divide samples with little overlap
    assert result.shape == expected.shape
    np.testing.assert_allclose(result[inner], expected[inner], atol=1e-5)


def test_istft_is_the_least_squares_solution():
    transform = Stft(64, 16)
    shape = (transform.bins, 20)
    target = jnp.asarray((RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)).astype(np.complex64))

    def distance(wave):
        # The distance is over all 64 bins, of which 33 are stored.
        weights = np.array([1.0, *[2.0] * 31, 1.0], np.float32)
        return jnp.sum(weights[:, None] * squared(stft(wave, transform) - target))

    gradient = jax.grad(distance)(istft(target, transform))
    np.testing.assert_allclose(
        gradient[32:-32], 0, atol=5e-3 * float(jnp.abs(jax.grad(distance)(jnp.zeros(304))).max())
    )


@pytest.mark.parametrize(
    ("samples", "length", "hop"), [(50, 16, 4), (50, 16, 5), (16, 16, 4), (50, 7, 20), (30, 5, 1), (90, 67, 2)]
)
def test_overlap_add_is_the_adjoint_of_framing(samples, length, hop):
    wave = jnp.asarray(RNG.standard_normal((2, samples)), jnp.float32)
    framed = frame(wave, length, hop)
    starts = np.arange(0, samples - length + 1, hop)
    np.testing.assert_array_equal(framed, np.asarray(wave)[:, starts[:, None] + np.arange(length)])
    other = jnp.asarray(RNG.standard_normal(framed.shape), jnp.float32)
    added = overlap_add(other, hop)
    assert added.shape == (2, starts[-1] + length)
    scale = float(jnp.linalg.norm(framed) * jnp.linalg.norm(other))
    np.testing.assert_allclose(jnp.vdot(framed, other), jnp.vdot(wave[:, : added.shape[1]], added), atol=1e-5 * scale)


def test_batches_match_single_waves():
    waves = jnp.asarray(RNG.standard_normal((2, 3, 500)), jnp.float32)
    transform = Stft(128, 32)
    result = stft(waves, transform)
    assert result.shape == (2, 3, 65, 16)
    np.testing.assert_allclose(result[1, 2], stft(waves[1, 2], transform), atol=1e-5)
    np.testing.assert_allclose(istft(result, transform, 500), waves, atol=1e-5)


@pytest.mark.parametrize("shape", [(0, 500), (2, 0, 500)])
def test_empty_batches_give_empty_results(shape):
    transform = Stft(128, 32)
    assert stft(jnp.zeros(shape), transform).shape == (*shape[:-1], 65, 16)
    assert istft(stft(jnp.zeros(shape), transform), transform, 500).shape == shape


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_converted_to_float32(dtype):
    wave = jnp.asarray(WAVE, dtype)
    np.testing.assert_array_equal(magnitude(wave, Stft(128, 32)), magnitude(wave.astype(jnp.float32), Stft(128, 32)))


def test_min_overlap_limits_amplification_at_the_ends():
    """The first samples lie under the edge of one window only, and the random spectrum is inconsistent there."""
    transform = Stft(128, 32, center=False)
    shape = (transform.bins, 12)
    spectrum = jnp.asarray((RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)).astype(np.complex64))
    assert np.abs(istft(spectrum, transform)[:8]).max() > 20
    assert np.abs(istft(spectrum, transform, min_overlap=1e-3)).max() < 5
    inner = slice(20, -20)
    np.testing.assert_allclose(
        istft(spectrum, transform, min_overlap=1e-3)[inner], istft(spectrum, transform)[inner], rtol=1e-5
    )


def test_energy_is_preserved():
    """Parseval: if the squared windows sum to a constant, spectrum and wave have the same energy up to its value."""
    transform = Stft(64, 16, center=False)
    wave = jnp.zeros(1024).at[200:800].set(jnp.asarray(WAVE[:600]))
    weights = np.array([1.0, *[2.0] * 31, 1.0])
    total = np.sum(weights[:, None] * np.asarray(power(wave, transform))) / 64
    squares = np.sum(transform.taper() ** 2) / 16
    assert total == pytest.approx(squares * np.sum(np.asarray(wave) ** 2), rel=1e-4)


def test_sine_peaks_in_its_bin():
    wave = jnp.asarray(np.sin(2 * np.pi * 10 * np.arange(512) / 128), jnp.float32)
    result = np.asarray(magnitude(wave, Stft(128, 32, center=False)))
    np.testing.assert_array_equal(result.argmax(axis=0), 10)
    np.testing.assert_allclose(result[10], 32, rtol=1e-4)  # half the sum of the window
    np.testing.assert_allclose(result[20:], 0, atol=1e-3)


@pytest.mark.parametrize("wave", [np.zeros(300), np.eye(1, 300, 150)[0], np.ones(300), np.zeros(1)])
def test_degenerate_waves_have_finite_values_and_gradients(wave):
    transform = Stft(128, 50)

    def sum_of_outputs(w):
        return magnitude(w, transform).sum() + istft(stft(w, transform), transform, len(wave)).sum()

    value, gradient = jax.jit(jax.value_and_grad(sum_of_outputs))(jnp.asarray(wave, jnp.float32))
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_gradient_matches_finite_differences():
    direction = RNG.standard_normal(300)
    wave = RNG.standard_normal(300)
    window = scipy.signal.get_window("hann", 128)

    def total(w):
        return sum(np.abs(np.fft.rfft(w[i : i + 128] * window)).sum() for i in range(0, 173, 32))

    expected = (total(wave + 1e-6 * direction) - total(wave - 1e-6 * direction)) / 2e-6
    gradient = jax.grad(lambda w: magnitude(w, Stft(128, 32, center=False)).sum())(jnp.asarray(wave, jnp.float32))
    np.testing.assert_allclose(np.sum(np.asarray(gradient) * direction), expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_fft": 0}, "n_fft=0"),
        ({"hop_length": 0}, "hop_length=0"),
        ({"hop_length": 10**9}, "hop_length=1000000000 between 1 and 1048576"),
        ({"win_length": 4096}, "win_length=4096 must lie between 0 and n_fft=2048"),
        ({"window": "hat"}, "window 'hat' is unknown"),
        ({"pad_mode": "mirror"}, "pad_mode='mirror' is unknown"),
    ],
)
def test_invalid_transforms_raise(options, message):
    with pytest.raises(ValueError, match=message):
        Stft(**options)


def test_invalid_waves_and_spectra_raise():
    with pytest.raises(ValueError, match="a wave of 127 samples is shorter than one frame of n_fft=128"):
        stft(jnp.zeros(127), Stft(128, 32, center=False))
    with pytest.raises(ValueError, match="a wave of 64 samples is too short for reflect padding by n_fft/2=64"):
        stft(jnp.zeros(64), Stft(128, 32, pad_mode="reflect"))
    with pytest.raises(ValueError, match="length=-3 must be 0 or more"):
        istft(jnp.zeros((33, 4), jnp.complex64), Stft(64, 16), -3)
    with pytest.raises(ValueError, match="every 64 samples leaves samples out and cannot be inverted"):
        istft(jnp.zeros((33, 4), jnp.complex64), Stft(64, 64))
    with pytest.raises(ValueError, match="a spectrum of 65 bins does not fit n_fft=64, which has 33 bins"):
        istft(jnp.zeros((65, 4), jnp.complex64), Stft(64, 16))


@pytest.mark.parametrize(
    ("transform", "samples", "lost"),
    [(Stft(512, 320), 3519, 64), (Stft(256, 128, center=False), 500, 116), (Stft(512, 256), 3519, 0)],
)
def test_samples_that_no_frame_covers_are_stated(transform, samples, lost):
    wave = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    with pytest.warns(UserWarning, match=f"the last {lost} of {samples} samples") if lost else nullcontext():
        result = istft(stft(wave, transform), transform, samples)
    covered = slice(0 if transform.center else 1, samples - lost)  # a Hann window begins with 0
    np.testing.assert_allclose(result[covered], wave[covered], atol=1e-3)
