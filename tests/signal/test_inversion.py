"""Any method from any start, under one name; mel spectrograms too; silence and the like."""

import logging

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import phase_oracles as oracles
from conftest import exchanged
from specjax.signal import inversion
from specjax.signal.inversion import Inversion, invert, to_wave
from specjax.signal.mel import Mel
from specjax.signal.polar import polar
from specjax.signal.presets import Preset, spectrogram
from specjax.signal.stft import Stft, istft, magnitude

RATE, SAMPLES = 8000, 3000
TRANSFORM = Stft(256, 64)
T = np.arange(SAMPLES) / RATE
WAVE = (0.2 * sum(np.sin(2 * np.pi * (f * T + 200 * T**2)) for f in (220, 555, 1310)) * np.exp(-3 * T)).astype(
    np.float32
)
WANTED = magnitude(jnp.asarray(WAVE), TRANSFORM)


def converged_db(wave):
    return oracles.convergence_db(np.asarray(wave), np.asarray(WANTED), 256, 64, "hann")


@pytest.mark.parametrize("method", inversion.METHODS)
def test_every_method_finds_a_wave_of_the_length_asked_for(method):
    reports = []
    how = Inversion(method, iterations=10)
    wave = invert(WANTED, TRANSFORM, how, length=SAMPLES, report=lambda *report: reports.append(report))
    assert wave.shape == (SAMPLES,)
    assert converged_db(wave) < -10
    chunks = {"refine": [0, 10], "griffin_lim": [0, 8, 10], "fast_griffin_lim": [0, 8, 10]}
    iterated = [("pghi", 0, 1), *((method, done, 10) for done in chunks.get(method, []))]
    assert [report[:3] for report in reports] == (iterated if method in chunks else [(method, 0, 1)])


@pytest.mark.parametrize("start", inversion.STARTS)
def test_an_iteration_begins_where_it_is_told_and_ends_nearer(start):
    def after(iterations):
        return converged_db(invert(WANTED, TRANSFORM, Inversion("griffin_lim", (start,), iterations), length=SAMPLES))

    assert after(16) < after(1) - 0.1


@pytest.mark.parametrize("start", inversion.ITERATIVE)
@pytest.mark.parametrize("method", inversion.ITERATIVE)
def test_an_iteration_goes_on_from_any_other(method, start):
    alone = converged_db(invert(WANTED, TRANSFORM, Inversion(start, ("spsi",), 8), length=SAMPLES))
    both = converged_db(invert(WANTED, TRANSFORM, Inversion(method, ("spsi", start), 8), length=SAMPLES))
    assert both < alone - 0.1


def test_a_good_start_does_better_than_librosas_by_five_db():
    ours = converged_db(invert(WANTED, TRANSFORM, Inversion(), length=SAMPLES))
    theirs = librosa.griffinlim(np.asarray(WANTED), n_iter=32, hop_length=64, n_fft=256, length=SAMPLES, init=None)
    assert ours < converged_db(theirs) - 5


@pytest.mark.parametrize("method", inversion.METHODS)
@pytest.mark.parametrize("scale", [1e-9, 32768.0])
def test_how_loud_it_is_does_not_matter(method, scale):
    one, other = (
        np.asarray(invert(WANTED * s, TRANSFORM, Inversion(method, iterations=8), length=SAMPLES)) / s
        for s in (1.0, scale)
    )
    assert np.abs(one - other).max() < 0.05 * np.abs(one).max()
    assert converged_db(other) == pytest.approx(converged_db(one), abs=0.5)


@pytest.mark.parametrize("method", ["rtisi_la", "pghi", "griffin_lim", "refine"])
def test_the_ends_are_no_louder_than_the_rest(method):
    """Not centred, the first and the last samples lie under the foot of one window alone."""
    transform = Stft(256, 64, center=False)
    wanted = magnitude(jnp.asarray(WAVE), transform)
    found = np.abs(np.asarray(invert(wanted, transform, Inversion(method, iterations=8), length=SAMPLES)))
    assert found.max() <= 1.5 * found[300:-300].max()


@pytest.mark.parametrize("method", inversion.DIRECT)
def test_gradients_pass_by_the_phases_that_were_chosen(method):
    phase = inversion.DIRECT[method](WANTED / jnp.max(WANTED), TRANSFORM)

    def chosen(m):
        return jnp.sum(istft(polar(m, phase), TRANSFORM, SAMPLES) ** 2)

    slope = jax.grad(lambda m: jnp.sum(invert(m, TRANSFORM, Inversion(method), length=SAMPLES) ** 2))(WANTED)
    np.testing.assert_allclose(slope, jax.grad(chosen)(WANTED), atol=1e-3 * np.abs(slope).max())


@pytest.mark.parametrize("method", ["griffin_lim", "fast_griffin_lim"])
def test_gradients_of_iterations_are_their_slopes(method):
    """In double precision, against a finite difference along a direction in which the phases turn as well."""
    how, rng = Inversion(method, ("zero",), iterations=3), np.random.default_rng(0)

    def value(m, weights):
        return jnp.vdot(invert(m, TRANSFORM, how, length=SAMPLES), weights)

    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        weights, wanted = jnp.asarray(rng.standard_normal(SAMPLES)), magnitude(jnp.asarray(WAVE, float), TRANSFORM)
        ahead, step = wanted * rng.standard_normal(wanted.shape), 1e-7
        slope = jax.grad(value)(wanted, weights)
        by_steps = (value(wanted + step * ahead, weights) - value(wanted - step * ahead, weights)) / (2 * step)
        assert float(jnp.vdot(slope, ahead)) == pytest.approx(float(by_steps), rel=1e-3)
    silent = WANTED.at[:, :20].set(0.0)
    assert np.all(np.isfinite(jax.grad(value)(silent, jnp.asarray(weights, jnp.float32))))


def test_shapes_of_any_rank_and_none():
    both = jnp.stack([WANTED, WANTED[:, ::-1]])[None]
    how = Inversion(iterations=8)
    found = invert(both, TRANSFORM, how, length=SAMPLES)
    assert found.shape == (1, 2, SAMPLES)
    np.testing.assert_allclose(found[0, 1], invert(both[0, 1], TRANSFORM, how, length=SAMPLES), atol=1e-4)
    assert invert(both[:0], TRANSFORM, how, length=SAMPLES).shape == (0, 2, SAMPLES)


@pytest.mark.parametrize("length", [2700, 2944, 3100])
@pytest.mark.parametrize("method", ["spsi", "griffin_lim", "refine"])
def test_lengths_that_have_other_frames_are_cut_or_filled_up(method, length):
    found = invert(WANTED, TRANSFORM, Inversion(method, iterations=2), length=length)
    assert found.shape == (length,)
    whole = invert(WANTED, TRANSFORM, Inversion(method, iterations=2), length=2944)
    np.testing.assert_allclose(found[:2600], whole[:2600], atol=0.02)
    np.testing.assert_array_equal(found[2944:], 0.0)


@pytest.mark.parametrize("method", inversion.METHODS)
def test_what_was_done_once_is_not_compiled_again(method, caplog):
    how = Inversion(method, iterations=8)
    invert(WANTED, TRANSFORM, how, length=SAMPLES)
    louder = WANTED * 2
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        invert(louder, TRANSFORM, how, length=SAMPLES)
        assert not [record.message for record in caplog.records if record.message.startswith("Compiling")]
        jax.jit(lambda x: x + 1)(louder)
        assert [record for record in caplog.records if record.message.startswith("Compiling")], "it would be heard"


def test_what_is_reported_is_the_convergence():
    reports = []
    invert(WANTED, TRANSFORM, Inversion(iterations=8), length=SAMPLES, report=lambda *report: reports.append(report))
    wave = invert(WANTED, TRANSFORM, Inversion(iterations=8), length=SAMPLES)
    assert reports[-1][-1] == pytest.approx(converged_db(wave), abs=0.01)


def test_seeds_decide_where_random_begins():
    how = [Inversion("griffin_lim", ("random",), 1, seed=seed) for seed in (0, 0, 1)]
    first, again, other = (np.asarray(invert(WANTED, TRANSFORM, each)) for each in how)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize("method", inversion.METHODS)
def test_many_at_once_are_each_alone(method):
    how = Inversion(method, iterations=8)
    both = invert(jnp.stack([WANTED, 0.3 * WANTED[:, ::-1]]), TRANSFORM, how, length=SAMPLES)
    assert both.shape == (2, SAMPLES)
    np.testing.assert_allclose(both[0], invert(WANTED, TRANSFORM, how, length=SAMPLES), atol=1e-3)


def spread_clips(mesh):
    """The same clip at four levels, one on every device."""
    clips = jnp.stack([WANTED * level for level in (1.0, 0.9, 0.8, 0.7)])
    return jax.device_put(clips, NamedSharding(mesh, P("data")))


@pytest.mark.parametrize("method", [name for name in inversion.METHODS if name != "refine"])
def test_clips_stay_on_their_devices(method, mesh):
    how = Inversion(method, iterations=8)
    whole = jax.jit(lambda clips: invert(clips, TRANSFORM, how, length=SAMPLES))
    found = whole.lower(spread_clips(mesh)).compile()
    assert not exchanged(found)
    alone = invert(WANTED, TRANSFORM, how, length=SAMPLES)
    np.testing.assert_allclose(found(spread_clips(mesh))[0], alone, atol=1e-3)


def test_clips_refined_together_stay_on_their_devices(mesh):
    found = invert(spread_clips(mesh), TRANSFORM, Inversion("refine", iterations=10), length=SAMPLES)
    assert found.sharding.spec[0] == "data"
    assert all(converged_db(wave / level) < -10 for wave, level in zip(found, (1.0, 0.9, 0.8, 0.7), strict=True))


class TestMel:
    PRESET = Preset(RATE, TRANSFORM, Mel(40), "log_power")

    def test_its_own_mel_spectrogram_comes_near(self):
        """The marks of the task: -10.7 dB for the bins behind the mel spectrogram, -22 dB for itself."""
        made = spectrogram(jnp.asarray(WAVE), self.PRESET)
        plain = to_wave(made, Inversion(mel_steps=0), length=SAMPLES)
        found = to_wave(made, Inversion(), length=SAMPLES)
        roots = [np.sqrt(librosa.feature.melspectrogram(y=np.asarray(w), sr=RATE, n_fft=256, hop_length=64, n_mels=40))
                 for w in (WAVE, plain, found)]  # fmt: skip

        def apart_db(a, b):
            return 20 * np.log10(np.linalg.norm(a - b) / np.linalg.norm(b))

        assert apart_db(roots[2], roots[0]) < min(-22, apart_db(roots[1], roots[0]) - 3)
        assert converged_db(found) < -10.7

    def test_gradients_are_finite_where_bins_are_empty(self):
        noise = jnp.asarray(np.random.default_rng(0).standard_normal(SAMPLES), jnp.float32)
        how = Inversion("spsi", mel_steps=0)
        slope = jax.grad(lambda w: jnp.sum(to_wave(spectrogram(w, self.PRESET), how, length=SAMPLES) ** 2))(noise)
        assert np.all(np.isfinite(slope))

    def test_levels_relative_to_the_greatest_come_back_to_a_scale(self):
        preset = Preset(RATE, TRANSFORM, None, "peak_db", range_db=96.0)
        found = np.asarray(to_wave(spectrogram(jnp.asarray(WAVE), preset), Inversion(), length=SAMPLES))
        gain = np.linalg.norm(WAVE) / np.linalg.norm(found)
        assert converged_db(found * gain) < -20


@pytest.mark.parametrize("method", inversion.METHODS)
def test_silence_stays_silent(method):
    wave = invert(jnp.zeros((129, 9)), TRANSFORM, Inversion(method, ("random",), 2))
    np.testing.assert_allclose(wave, 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"method": "magic"}, "choose one of griffin_lim"), ({"start": ("here",)}, "begin with one of random"),
     ({"start": ()}, "begin with one of random"), ({"start": ("refine",)}, "begin with one of random"),
     ({"start": ("spsi", "pghi")}, "'pghi' cannot follow"),
     ({"iterations": 0}, "must be above 0"), ({"mel_steps": -1}, "not negative")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        Inversion(**options)


@pytest.mark.parametrize(
    ("shape", "transform", "says"),
    [((129, 9), Stft(256, 300), "cannot be inverted"), ((100, 9), TRANSFORM, "100 bins is not of n_fft=256"),
     ((129, 1), TRANSFORM, "1 frames of 256 samples cover no sample")],
)  # fmt: skip
def test_what_cannot_be_inverted_is_refused(shape, transform, says):
    for method in inversion.METHODS:
        with pytest.raises(ValueError, match=says):
            invert(jnp.ones(shape), transform, Inversion(method))
