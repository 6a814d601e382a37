"""Inversion against the published algorithms written as plain loops, librosa, and the marks it must reach."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.optimize
import soundfile

import phase_oracles as oracles
from conftest import modes
from specjax.signal import windows
from specjax.signal.phase.gradient import gamma
from specjax.signal.phase.griffin_lim import griffin_lim, random_phase
from specjax.signal.phase.pghi import pghi
from specjax.signal.phase.refine import refine
from specjax.signal.phase.rtisi import rtisi_la
from specjax.signal.phase.rtpghi import rtpghi, sources
from specjax.signal.phase.spsi import peaks, spsi
from specjax.signal.polar import polar
from specjax.signal.stft import Stft, istft, magnitude

RATE, N_FFT, HOP = 8000, 256, 32
SAMPLES = 3000
TRANSFORM = Stft(N_FFT, HOP)
METHODS = {"spsi": spsi, "rtpghi": rtpghi, "pghi": pghi, "rtisi_la": rtisi_la}
DEGENERATE = {
    "silence": np.zeros(701),
    "an impulse": np.eye(1, 701, 350)[0],
    "a constant": np.ones(701),
    "one sample": np.ones(1),
    "an odd length": np.random.default_rng(0).standard_normal(701),
}


def clip(samples=SAMPLES):
    """Notes of a few partials, gliding and fading, with a click and a little noise."""
    rng, t = np.random.default_rng(0), np.arange(samples) / RATE
    notes = sum(
        np.sin(2 * np.pi * (f0 * k * t + 300 * t**2) + rng.uniform(0, 6)) / k * np.exp(-3 * t)
        for f0 in (220, 331)
        for k in range(1, 5)
    )
    notes[samples // 2] += 3
    return (0.1 * notes + 0.002 * rng.standard_normal(samples)).astype(np.float32)


WAVE = clip()
MAGNITUDE = np.abs(oracles.spectrum(WAVE, N_FFT, HOP))


@cache
def method(name, transform=TRANSFORM):
    return jax.jit(partial(METHODS[name], transform=transform))


def converged_db(phase, transform=TRANSFORM, wanted=MAGNITUDE, samples=SAMPLES):
    wave = istft(polar(jnp.asarray(wanted, jnp.float32), phase), transform, samples)
    return oracles.convergence_db(np.asarray(wave), wanted, transform.n_fft, transform.hop_length, transform.window)


def reference_db(phase, hop=HOP, window="hann", wanted=MAGNITUDE, n_fft=N_FFT, samples=SAMPLES):
    spectrum = wanted * np.exp(1j * phase)
    wave = oracles.wave_of(spectrum, n_fft, hop, samples, window)
    return oracles.convergence_db(wave, wanted, n_fft, hop, window)


@pytest.mark.parametrize(
    ("name", "hop", "window"),
    [
        *((name, hop, "hann") for name in METHODS for hop in (32, 64)),
        # Of the others the oracles know the Hann window only.
        *((name, 32, "blackman") for name in METHODS if name not in ("spsi", "rtisi_la")),
    ],
)
def test_methods_are_as_good_as_the_published_ones(name, hop, window):
    transform = Stft(N_FFT, hop, window)
    wanted = np.abs(oracles.spectrum(WAVE, N_FFT, hop, window))
    words = () if name in ("spsi", "rtisi_la") else (window,)
    theirs = getattr(oracles, name)(wanted, N_FFT, hop, *words)
    if name != "rtisi_la":
        theirs = oracles.relative_to_start(theirs, N_FFT)
    expected = reference_db(theirs, hop, window, wanted)
    measured = converged_db(method(name, transform)(jnp.asarray(wanted, jnp.float32)), transform, wanted)
    assert measured <= expected + 0.5
    # PGHI's tree is not the heap's in every branch, and mostly a little better. RTISI-LA makes up for frames that are
    # still to come in every frame, not in the newest alone.
    if name not in ("pghi", "rtisi_la"):
        assert measured == pytest.approx(expected, abs=0.5)
    assert measured < {"spsi": -5, "rtpghi": -12, "pghi": -12, "rtisi_la": -12}[name]


@pytest.mark.parametrize("name", METHODS)
def test_in_every_mode_it_is_the_same(name):
    wanted = magnitude(jnp.asarray(WAVE[:700]), Stft(64, 16))
    each = modes(partial(METHODS[name], transform=Stft(64, 16)))
    phases = [each[mode](wanted) for mode in ("plain", "jit", "vmap", "batch")]
    for phase in phases[1:]:
        same = np.exp(1j * (np.asarray(phase) - np.asarray(phases[0])))
        # But for ties.
        assert np.mean(np.abs(same - 1) < 0.1) > 0.99


@pytest.mark.parametrize("seed", range(5))
def test_two_scans_find_what_the_heap_finds(seed):
    rng = np.random.default_rng(seed)
    before, here = rng.standard_normal((2, 40)).astype(np.float32)
    np.testing.assert_array_equal(sources(jnp.asarray(before), jnp.asarray(here)), oracles.heap_sources(before, here))


def test_the_tree_is_that_of_the_loudest_crossings():
    """The same phases, but for where the tree begins."""
    wanted = MAGNITUDE.astype(np.float32)
    ours = np.asarray(jax.jit(partial(pghi, transform=TRANSFORM))(jnp.asarray(wanted)))
    theirs = oracles.relative_to_start(oracles.loudest_tree(wanted.astype(float), N_FFT, HOP), N_FFT)
    turned = np.exp(1j * (ours - theirs))[wanted > 1e-3 * wanted.max()]
    np.testing.assert_allclose(np.abs(np.mean(turned)), 1, atol=1e-3)


def test_one_tolerance_is_not_worse_than_the_published_two():
    theirs = oracles.relative_to_start(oracles.pghi(MAGNITUDE, N_FFT, HOP, tolerances=(1e-1, 1e-10)), N_FFT)
    assert converged_db(method("pghi")(jnp.asarray(MAGNITUDE, jnp.float32))) <= reference_db(theirs)


@pytest.mark.parametrize("sick", [np.nan, np.inf])
@pytest.mark.parametrize("name", METHODS)
def test_what_is_not_finite_is_no_endless_search(name, sick):
    phase = method(name)(jnp.asarray(MAGNITUDE, jnp.float32).at[3, 3].set(sick))
    assert phase.shape == MAGNITUDE.shape


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("name", ["spsi", "rtpghi", "pghi"])
def test_how_loud_it_is_does_not_matter(name, scale):
    wanted = jnp.asarray(MAGNITUDE, jnp.float32)
    one, other = (np.asarray(method(name)(wanted * s)) for s in (1.0, scale))
    assert np.mean(np.abs(np.exp(1j * (one - other)) - 1) < 0.1) > 0.99


@pytest.mark.parametrize("window", ["hann", "hamming", "blackman", "gauss"])
def test_the_gaussian_is_the_one_nearest_to_the_window(window):
    """The published constants are those of least squares, to half a percent."""
    place = np.arange(-3000, 3001) / 2000
    shape = np.where(np.abs(place) < 0.5, np.interp(place, np.linspace(-0.5, 0.5, 1001), full_window(window)), 0)
    if window == "gauss":  # it is one, and was cut
        shape = 0.01 ** (4 * place**2)
    nearest = scipy.optimize.minimize_scalar(
        lambda c: np.sum((shape - np.exp(-np.pi * place**2 / c)) ** 2), bounds=(0.05, 1), method="bounded"
    )
    assert gamma(Stft(1000, 100, window)) / 1000**2 == pytest.approx(nearest.x, rel=5e-3)


def full_window(name):
    """A thousandth more than a period of it: both ends."""
    shape = np.asarray(windows.window(name, 1000), float)
    return np.append(shape, shape[0])


def test_peaks_share_out_the_bins():
    row = jnp.array([1.0, 2.0, 5.0, 3.0, 1.0, 2.0, 4.0, 4.0, 0.5, 0.5, 0.7])
    owner, offset = peaks(row)
    np.testing.assert_array_equal(owner, [2, 2, 2, 2, 6, 6, 6, 6, 6, 10, 10])
    assert float(offset[2]) == pytest.approx(0.5 * (2 - 3) / (2 - 10 + 3))


def test_spsi_keeps_a_steady_tone():
    tone = np.sin(2 * np.pi * 440.0 * np.arange(SAMPLES) / RATE).astype(np.float32)
    wanted = np.abs(oracles.spectrum(tone, N_FFT, HOP))
    wave = np.asarray(istft(polar(jnp.asarray(wanted, jnp.float32), spsi(jnp.asarray(wanted, jnp.float32), TRANSFORM)),
                            TRANSFORM, SAMPLES))  # fmt: skip
    heard = np.abs(np.fft.rfft(wave[500:2500] * np.hanning(2000)))
    assert heard.argmax() == pytest.approx(440 * 2000 / RATE, abs=1)


@pytest.mark.parametrize("mode", ["plain", "jit", "vmap"])
@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_the_iteration_is_griffin_and_lims(mode, momentum):
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, MAGNITUDE.shape)
    expected = oracles.griffin_lim(MAGNITUDE, phase, N_FFT, HOP, SAMPLES, 6, momentum)
    iterate = partial(griffin_lim, transform=TRANSFORM, iterations=6, momentum=momentum, length=SAMPLES)
    run = modes(lambda m, p: iterate(m, phase=p))[mode]
    wave = run(jnp.asarray(MAGNITUDE, jnp.float32), jnp.asarray(phase, jnp.float32))
    np.testing.assert_allclose(wave, expected, atol=2e-3 * np.abs(expected).max())


def test_it_comes_as_near_as_librosas():
    """From phases of zero, which librosa begins with where it draws none."""
    librosas = librosa.griffinlim(MAGNITUDE.astype(np.float32), n_iter=32, hop_length=HOP, length=SAMPLES, init=None)
    start = jnp.zeros(MAGNITUDE.shape)
    wave = griffin_lim(jnp.asarray(MAGNITUDE, jnp.float32), TRANSFORM, start, length=SAMPLES)
    assert oracles.convergence_db(np.asarray(wave), MAGNITUDE, N_FFT, HOP) == pytest.approx(
        oracles.convergence_db(librosas, MAGNITUDE, N_FFT, HOP), abs=2
    )


def test_a_good_beginning_ends_nearer():
    wanted = jnp.asarray(MAGNITUDE, jnp.float32)
    good = griffin_lim(wanted, TRANSFORM, method("pghi")(wanted), length=SAMPLES)
    blind = griffin_lim(wanted, TRANSFORM, random_phase(jax.random.key(0), wanted.shape), length=SAMPLES)
    distance = [oracles.convergence_db(np.asarray(w), MAGNITUDE, N_FFT, HOP) for w in (good, blind)]
    assert distance[0] < distance[1] - 3


def test_the_published_mark_on_greasy(real_data):
    wave, _ = soundfile.read(real_data / "ltfat_signals" / "greasy.wav", dtype="float32")
    transform = Stft(1024, 128, "blackman")
    wanted = np.abs(oracles.spectrum(wave, 1024, 128, "blackman"))
    phase = jax.jit(partial(pghi, transform=transform))(jnp.asarray(wanted, jnp.float32))
    assert converged_db(phase, transform, wanted, len(wave)) <= -28  # the mark is -20


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("what", DEGENERATE)
def test_degenerate_waves_come_back_finite(what, name):
    wave = jnp.asarray(DEGENERATE[what], jnp.float32)
    transform = Stft(64, 20)
    wanted = magnitude(wave, transform)
    phase = method(name, transform)(wanted)
    again = jax.jit(partial(griffin_lim, transform=transform, iterations=3, length=len(wave)))
    back = again(wanted, phase=phase)
    assert phase.shape == wanted.shape
    assert back.shape == wave.shape
    assert np.all(np.isfinite(phase))
    assert np.all(np.isfinite(back))


def test_the_iteration_has_a_finite_slope_at_silence():
    def loudness(m):
        return jnp.sum(griffin_lim(m, Stft(64, 16), jnp.zeros_like(m), iterations=2) ** 2)

    slope = jax.jit(jax.grad(loudness))
    for level in (0.0, 1.0):
        assert np.all(np.isfinite(slope(jnp.full((33, 8), level))))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: griffin_lim(m, TRANSFORM, m, momentum=1.0), "momentum=1.0 from 0 to below 1"),
        (lambda m: griffin_lim(m, TRANSFORM, m, iterations=-1), "iterations=-1 must be 0 or more"),
        (lambda m: pghi(m, Stft(N_FFT, HOP, "boxcar")), "phases of a boxcar window cannot be estimated"),
        (lambda m: rtpghi(m, Stft(N_FFT, HOP, "boxcar")), "choose one of hann, hamming, blackman, gauss"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.ones((129, 5)))


def test_refinement_comes_nearer_than_where_it_began():
    wanted = jnp.asarray(MAGNITUDE, jnp.float32)
    begun = istft(polar(wanted, method("pghi")(wanted)), TRANSFORM, SAMPLES)
    before = oracles.convergence_db(np.asarray(begun), MAGNITUDE, N_FFT, HOP)
    told = []
    found = refine(wanted, begun, TRANSFORM, steps=30, report=lambda *say: told.append(say))
    after = oracles.convergence_db(np.asarray(found), MAGNITUDE, N_FFT, HOP)
    assert after < before - 5
    assert told == [(25, pytest.approx(0, abs=1)), (30, pytest.approx(10 ** (after / 10), rel=0.03))]
