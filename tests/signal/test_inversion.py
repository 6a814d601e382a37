"""Inversion by every method from every start: mel spectrograms, gradients, batches, silence, invalid settings."""

import logging

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import phase_oracles as oracles
from conftest import find_collectives
from specjax.signal import inversion
from specjax.signal.inversion import Inversion, invert, to_wave
from specjax.signal.mel import Mel
from specjax.signal.polar import polar
from specjax.signal.presets import Preset, spectrogram
from specjax.signal.short_time_fourier import Stft, istft, magnitude

RATE, SAMPLES = 8000, 3000
TRANSFORM = Stft(256, 64)
T = np.arange(SAMPLES) / RATE
WAVE = (0.2 * sum(np.sin(2 * np.pi * (f * T + 200 * T**2)) for f in (220, 555, 1310)) * np.exp(-3 * T)).astype(
    np.float32
)
TARGET = magnitude(jnp.asarray(WAVE), TRANSFORM)


def convergence_db(wave):
    return oracles.convergence_db(np.asarray(wave), np.asarray(TARGET), 256, 64, "hann")


@pytest.mark.parametrize("method", inversion.METHODS)
def test_every_method_converges_at_the_requested_length_and_reports_progress(method):
    reports = []
    settings = Inversion(method, iterations=10)
    wave = invert(TARGET, TRANSFORM, settings, length=SAMPLES, report=lambda *report: reports.append(report))
    assert wave.shape == (SAMPLES,)
    assert convergence_db(wave) < -10
    chunks = {name: [0, 8, 10] for name in inversion.ITERATIVE} | {"refine": [0, 10], "subset_griffin_lim": [0, 5, 10]}
    expected = [("pghi", 0, 1), *((method, done, 10) for done in chunks.get(method, []))]
    assert [report[:3] for report in reports] == (expected if method in chunks else [(method, 0, 1)])


@pytest.mark.parametrize("start", inversion.STARTS)
def test_more_iterations_improve_convergence_from_every_start(start):
    def convergence_after(iterations):
        return convergence_db(invert(TARGET, TRANSFORM, Inversion("griffin_lim", (start,), iterations), length=SAMPLES))

    assert convergence_after(16) < convergence_after(1) - 0.1


@pytest.mark.parametrize("start", inversion.ITERATIVE)
@pytest.mark.parametrize("method", inversion.ITERATIVE)
def test_iterative_methods_improve_on_each_other(method, start):
    alone = convergence_db(invert(TARGET, TRANSFORM, Inversion(start, ("spsi",), 8), length=SAMPLES))
    both = convergence_db(invert(TARGET, TRANSFORM, Inversion(method, ("spsi", start), 8), length=SAMPLES))
    assert both < alone - 0.1


def test_default_inversion_is_five_db_better_than_librosa():
    result = convergence_db(invert(TARGET, TRANSFORM, Inversion(), length=SAMPLES))
    reference = librosa.griffinlim(np.asarray(TARGET), n_iter=32, hop_length=64, n_fft=256, length=SAMPLES, init=None)
    assert result < convergence_db(reference) - 5


@pytest.mark.parametrize("method", inversion.METHODS)
@pytest.mark.parametrize("scale", [1e-9, 32768.0])
def test_result_scales_with_the_magnitudes(method, scale):
    one, other = (
        np.asarray(invert(TARGET * s, TRANSFORM, Inversion(method, iterations=8), length=SAMPLES)) / s
        for s in (1.0, scale)
    )
    assert np.abs(one - other).max() < 0.05 * np.abs(one).max()
    assert convergence_db(other) == pytest.approx(convergence_db(one), abs=0.5)


@pytest.mark.parametrize("method", ["rtisi_la", "pghi", "griffin_lim", "refine"])
def test_ends_of_an_uncentered_transform_are_not_amplified(method):
    """Without centering, the first and last samples lie under the edge of one window only."""
    transform = Stft(256, 64, center=False)
    target = magnitude(jnp.asarray(WAVE), transform)
    result = np.abs(np.asarray(invert(target, transform, Inversion(method, iterations=8), length=SAMPLES)))
    assert result.max() <= 1.5 * result[300:-300].max()


@pytest.mark.parametrize("method", inversion.DIRECT)
def test_gradients_treat_the_initial_phases_as_constants(method):
    phase = inversion.DIRECT[method](TARGET / jnp.max(TARGET), TRANSFORM)

    def invert_with_constant_phase(m):
        return jnp.sum(istft(polar(m, phase), TRANSFORM, SAMPLES) ** 2)

    gradient = jax.grad(lambda m: jnp.sum(invert(m, TRANSFORM, Inversion(method), length=SAMPLES) ** 2))(TARGET)
    np.testing.assert_allclose(
        gradient, jax.grad(invert_with_constant_phase)(TARGET), atol=1e-3 * np.abs(gradient).max()
    )


@pytest.mark.parametrize(
    "method", ["griffin_lim", *(pytest.param(x, marks=pytest.mark.long) for x in ("subset_griffin_lim", "admm"))]
)
def test_gradients_of_iterations_agree_with_finite_differences(method):
    """Compare in double precision, along a direction in which the phases change as well."""
    settings, rng = Inversion(method, ("zero",), iterations=3), np.random.default_rng(0)

    def value(m, weights):
        return jnp.vdot(invert(m, TRANSFORM, settings, length=SAMPLES), weights)

    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        weights, target = jnp.asarray(rng.standard_normal(SAMPLES)), magnitude(jnp.asarray(WAVE, float), TRANSFORM)
        direction, step = target * rng.standard_normal(target.shape), 1e-7
        gradient = jax.grad(value)(target, weights)
        difference = (value(target + step * direction, weights) - value(target - step * direction, weights)) / (
            2 * step
        )
        assert float(jnp.vdot(gradient, direction)) == pytest.approx(float(difference), rel=1e-3)
    silent = TARGET.at[:, :20].set(0.0)
    assert np.all(np.isfinite(jax.grad(value)(silent, jnp.asarray(weights, jnp.float32))))


def test_extra_batch_axes_and_empty_batches_are_supported():
    both = jnp.stack([TARGET, TARGET[:, ::-1]])[None]
    settings = Inversion(iterations=8)
    result = invert(both, TRANSFORM, settings, length=SAMPLES)
    assert result.shape == (1, 2, SAMPLES)
    np.testing.assert_allclose(result[0, 1], invert(both[0, 1], TRANSFORM, settings, length=SAMPLES), atol=1e-4)
    assert invert(both[:0], TRANSFORM, settings, length=SAMPLES).shape == (0, 2, SAMPLES)


@pytest.mark.parametrize("length", [2700, 2944, 3100])
@pytest.mark.parametrize("method", ["spsi", "griffin_lim", "refine"])
def test_lengths_with_another_number_of_frames_are_cut_or_zero_padded(method, length):
    result = invert(TARGET, TRANSFORM, Inversion(method, iterations=2), length=length)
    assert result.shape == (length,)
    whole = invert(TARGET, TRANSFORM, Inversion(method, iterations=2), length=2944)
    np.testing.assert_allclose(result[:2600], whole[:2600], atol=0.02)
    np.testing.assert_array_equal(result[2944:], 0.0)


@pytest.mark.parametrize("method", inversion.METHODS)
def test_second_call_does_not_compile_again(method, caplog):
    settings = Inversion(method, iterations=8)
    invert(TARGET, TRANSFORM, settings, length=SAMPLES)
    louder = TARGET * 2
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        invert(louder, TRANSFORM, settings, length=SAMPLES)
        assert not [record.message for record in caplog.records if record.message.startswith("Compiling")]
        jax.jit(lambda x: x + 1)(louder)
        assert [record for record in caplog.records if record.message.startswith("Compiling")], (
            "compilation is not logged"
        )


def test_reported_value_is_the_spectral_convergence():
    reports = []
    invert(TARGET, TRANSFORM, Inversion(iterations=8), length=SAMPLES, report=lambda *report: reports.append(report))
    wave = invert(TARGET, TRANSFORM, Inversion(iterations=8), length=SAMPLES)
    assert reports[-1][-1] == pytest.approx(convergence_db(wave), abs=0.01)


def test_seed_determines_the_random_start():
    settings = [Inversion("griffin_lim", ("random",), 1, seed=seed) for seed in (0, 0, 1)]
    first, again, other = (np.asarray(invert(TARGET, TRANSFORM, each)) for each in settings)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize("method", inversion.METHODS)
def test_a_batch_equals_its_clips_inverted_alone(method):
    settings = Inversion(method, iterations=8)
    both = invert(jnp.stack([TARGET, 0.3 * TARGET[:, ::-1]]), TRANSFORM, settings, length=SAMPLES)
    assert both.shape == (2, SAMPLES)
    np.testing.assert_allclose(both[0], invert(TARGET, TRANSFORM, settings, length=SAMPLES), atol=1e-3)


def sharded_clips(mesh):
    """Return the same clip at four levels, one on each device."""
    clips = jnp.stack([TARGET * level for level in (1.0, 0.9, 0.8, 0.7)])
    return jax.device_put(clips, NamedSharding(mesh, P("data")))


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=() if name in ("subset_griffin_lim", "pghi") else pytest.mark.long)
        for name in inversion.METHODS
        if name != "refine"
    ],
)
def test_inversion_does_not_exchange_clips_between_devices(method, mesh):
    settings = Inversion(method, iterations=8)
    invert_all = jax.jit(lambda clips: invert(clips, TRANSFORM, settings, length=SAMPLES))
    compiled = invert_all.lower(sharded_clips(mesh)).compile()
    assert not find_collectives(compiled)
    alone = invert(TARGET, TRANSFORM, settings, length=SAMPLES)
    np.testing.assert_allclose(compiled(sharded_clips(mesh))[0], alone, atol=1e-3)


def test_refined_clips_stay_on_their_devices(mesh):
    result = invert(sharded_clips(mesh), TRANSFORM, Inversion("refine", iterations=10), length=SAMPLES)
    assert result.sharding.spec[0] == "data"
    assert all(convergence_db(wave / level) < -10 for wave, level in zip(result, (1.0, 0.9, 0.8, 0.7), strict=True))


class TestMel:
    PRESET = Preset(RATE, TRANSFORM, Mel(40), "log_power")

    def test_mel_steps_bring_the_mel_spectrogram_closer(self):
        """Required convergence: -10.7 dB for the magnitudes of bins, -22 dB for mel magnitudes."""
        mel = spectrogram(jnp.asarray(WAVE), self.PRESET)
        plain = to_wave(mel, Inversion(mel_steps=0), length=SAMPLES)
        result = to_wave(mel, Inversion(), length=SAMPLES)
        roots = [np.sqrt(librosa.feature.melspectrogram(y=np.asarray(w), sr=RATE, n_fft=256, hop_length=64, n_mels=40))
                 for w in (WAVE, plain, result)]  # fmt: skip

        def distance_db(a, b):
            return 20 * np.log10(np.linalg.norm(a - b) / np.linalg.norm(b))

        assert distance_db(roots[2], roots[0]) < min(-22, distance_db(roots[1], roots[0]) - 3)
        assert convergence_db(result) < -10.7

    def test_gradients_are_finite_where_bins_have_no_power(self):
        noise = jnp.asarray(np.random.default_rng(0).standard_normal(SAMPLES), jnp.float32)
        settings = Inversion("spsi", mel_steps=0)
        gradient = jax.grad(lambda w: jnp.sum(to_wave(spectrogram(w, self.PRESET), settings, length=SAMPLES) ** 2))(
            noise
        )
        assert np.all(np.isfinite(gradient))

    def test_peak_db_spectrograms_are_inverted_up_to_a_gain(self):
        preset = Preset(RATE, TRANSFORM, None, "peak_db", range_db=96.0)
        result = np.asarray(to_wave(spectrogram(jnp.asarray(WAVE), preset), Inversion(), length=SAMPLES))
        gain = np.linalg.norm(WAVE) / np.linalg.norm(result)
        assert convergence_db(result * gain) < -20


@pytest.mark.parametrize("method", inversion.METHODS)
def test_silence_gives_silence(method):
    wave = invert(jnp.zeros((129, 9)), TRANSFORM, Inversion(method, ("random",), 2))
    np.testing.assert_allclose(wave, 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"method": "magic"}, "choose one of griffin_lim"), ({"start": ("here",)}, "begin with one of random"),
     ({"start": ()}, "begin with one of random"), ({"start": ("refine",)}, "begin with one of random"),
     ({"start": ("spsi", "pghi")}, "'pghi' cannot follow"),
     ({"iterations": 0}, "must be above 0"), ({"mel_steps": -1}, "not negative")],
)  # fmt: skip
def test_invalid_settings_raise_errors(options, message):
    with pytest.raises(ValueError, match=message):
        Inversion(**options)


@pytest.mark.parametrize(
    ("shape", "transform", "message"),
    [((129, 9), Stft(256, 300), "cannot be inverted"), ((100, 9), TRANSFORM, "100 bins does not fit n_fft=256"),
     ((129, 1), TRANSFORM, "1 frames of 256 samples cover no sample")],
)  # fmt: skip
def test_magnitudes_that_cannot_be_inverted_raise_errors(shape, transform, message):
    for method in inversion.METHODS:
        with pytest.raises(ValueError, match=message):
            invert(jnp.ones(shape), transform, Inversion(method))
