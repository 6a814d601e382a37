"""Tuning of rows, and sounds of chord spectrograms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.chord import conditioning, data, metrics, sound, theory
from specjax.papers.chord.conditioning import Conditioning
from specjax.papers.chord.data import DigitsConfig
from specjax.papers.chord.sound import SoundConfig
from specjax.signal import oscillators

RATE = 4032
SIZE = 112


def tune(label, config, quality="major", partials="triad", size=SIZE):
    tuning = sound.tuning(size, (label,), (quality,), partials, theory.A0_HZ, config)
    return tuning.frequencies_hz[0], tuning.phase_row[0]


def synthesize(spectrogram, label, config, quality="major"):
    frequencies, phase_row = tune(label, config, quality, size=spectrogram.shape[0])
    increments = jnp.asarray(oscillators.phase_increment(frequencies, config.sample_rate))
    return sound.wave(spectrogram, increments, jnp.asarray(phase_row), config)


def build_chord(label, quality="major", size=SIZE):
    """Build a spectrogram of a chord with its rows at 1 throughout, and zeros elsewhere."""
    return jnp.zeros((size, size)).at[theory.chord_rows(label, quality)].set(1.0)


def measure_pitch_error(wave, label, quality="major"):
    exact = jnp.asarray(theory.exact_frequencies_hz(label, quality), jnp.float32)
    return float(metrics.pitch_error_cents(wave, exact, RATE))


class TestTuning:
    def test_rows_are_hertz_plus_offset(self):
        frequencies, phase_row = tune(0, SoundConfig(exact=False, offset_hz=2.5))
        np.testing.assert_allclose(frequencies, np.arange(SIZE) + 2.5)
        np.testing.assert_array_equal(phase_row, np.arange(SIZE))

    @pytest.mark.parametrize("octave", [-1, 0, 3])
    def test_each_octave_doubles_every_frequency(self, octave):
        for exact in (False, True):
            low, _ = tune(4, SoundConfig(exact=exact))
            frequencies, _ = tune(4, SoundConfig(exact=exact, octave=octave))
            np.testing.assert_allclose(frequencies, low * 2.0**octave)

    @pytest.mark.parametrize("quality", theory.QUALITIES)
    @pytest.mark.parametrize("label", [0, 1, 9])
    def test_exact_chord_rows_have_just_frequencies(self, label, quality):
        frequencies, _ = tune(label, SoundConfig(), quality)
        rows = theory.chord_rows(label, quality)
        np.testing.assert_allclose(frequencies[rows], theory.exact_frequencies_hz(label, quality), rtol=1e-12)

    def test_rows_within_six_of_a_partial_take_its_frequency_and_phase(self):
        """The chord of label 0 has the rows 28, 35 and 42."""
        frequencies, phase_row = tune(0, SoundConfig())
        np.testing.assert_array_equal(phase_row[22:32], 28)
        np.testing.assert_array_equal(phase_row[32:39], 35)
        np.testing.assert_array_equal(phase_row[39:49], 42)
        np.testing.assert_allclose(frequencies[22:32], 27.5)
        for row in (0, 21, 49, 111):
            assert (frequencies[row], phase_row[row]) == (row, row)

    def test_offset_shifts_only_rows_that_are_not_exact(self):
        frequencies, _ = tune(0, SoundConfig(offset_hz=3.0))
        assert frequencies[28] == 27.5
        assert frequencies[100] == 103.0

    @pytest.mark.parametrize("partials", ["octaves", "harmonics"])
    @pytest.mark.parametrize("label", [0, 1, 2, 7])
    def test_upper_partials_are_multiples_of_the_chord_notes(self, label, partials):
        frequencies, _ = tune(label, SoundConfig(), "major", partials, size=1008)
        notes = theory.exact_frequencies_hz(label)
        rows = theory.partial_rows(label, "major", partials)
        multiples = frequencies[rows][:, None] / notes
        off = np.abs(multiples - np.round(multiples)) * notes
        np.testing.assert_allclose(off.min(axis=1), 0, atol=1e-9)
        # Rounding f0 moves a partial by up to 31 cents from its row, and flooring by up to one row.
        assert np.all(np.abs(frequencies[rows] - rows) <= rows * (2 ** (32 / 1200) - 1) + 1)

    def test_octaves_of_a_note_have_power_of_two_ratios(self):
        """Row 2^k r of a note with row r has 2^k times its frequency, even if other multiples lie nearer."""
        cents = []
        for label in range(10):
            frequencies, _ = tune(label, SoundConfig(), "major", "octaves", size=1008)
            for row, exact in zip(theory.chord_rows(label), theory.exact_frequencies_hz(label), strict=True):
                octaves = [k for k in range(10) if row << k < 1008]
                cents += [1200 * np.log2(frequencies[row << k] / (exact * 2**k)) for k in octaves]
        np.testing.assert_allclose(cents, 0, atol=5)

    def test_chords_are_ordered_by_label_then_quality(self):
        tuning = sound.tuning(SIZE, (2, 5), ("major", "minor"), "triad", theory.A0_HZ, SoundConfig())
        assert tuning.frequencies_hz.shape == tuning.phase_row.shape == (4, SIZE)
        for index, (label, quality) in enumerate([(2, "major"), (2, "minor"), (5, "major"), (5, "minor")]):
            np.testing.assert_array_equal(tuning.frequencies_hz[index], tune(label, SoundConfig(), quality)[0])


class TestWave:
    def test_wave_peaks_at_one(self):
        wave = synthesize(build_chord(3) * 0.1, 3, SoundConfig(sample_rate=RATE))
        assert wave.shape == (RATE,)
        assert wave.dtype == jnp.float32
        assert float(jnp.max(jnp.abs(wave))) == pytest.approx(1.0, abs=1e-6)

    def test_silence_stays_silent(self):
        wave = synthesize(jnp.zeros((SIZE, SIZE)), 3, SoundConfig(sample_rate=RATE))
        np.testing.assert_array_equal(wave, 0.0)

    def test_levels_outside_zero_to_one_are_clipped(self):
        config = SoundConfig(sample_rate=RATE)
        loud = build_chord(3) * 7 - jnp.zeros((SIZE, SIZE)).at[100].set(2.0)
        np.testing.assert_allclose(synthesize(loud, 3, config), synthesize(build_chord(3), 3, config), atol=1e-6)

    @pytest.mark.parametrize("duration_s", [0.25, 1.0, 1.7])
    def test_wave_has_the_requested_duration(self, duration_s):
        wave = synthesize(build_chord(3), 3, SoundConfig(sample_rate=RATE, duration_s=duration_s))
        assert wave.shape == (round(RATE * duration_s),)

    def test_seed_determines_the_phases(self):
        first, same, other = (
            synthesize(build_chord(3), 3, SoundConfig(sample_rate=RATE, seed=seed)) for seed in (0, 0, 1)
        )
        np.testing.assert_array_equal(first, same)
        assert float(jnp.abs(first - other).max()) > 0.1

    def test_wave_is_the_sum_of_one_sine_per_row(self):
        """Levels are constant in time, so that their interpolation has no effect."""
        config = SoundConfig(sample_rate=RATE, exact=False)
        levels = np.random.default_rng(0).random(SIZE).astype(np.float32)
        phases = np.asarray(jax.random.uniform(jax.random.key(0), (SIZE,), maxval=2 * np.pi), float)
        time = np.arange(RATE) / RATE
        expected = levels @ np.sin(2 * np.pi * np.arange(SIZE)[:, None] * time + phases[:, None])
        wave = synthesize(jnp.asarray(np.tile(levels[:, None], (1, SIZE))), 0, config)
        np.testing.assert_allclose(wave, expected / np.abs(expected).max(), atol=2e-4)

    @pytest.mark.parametrize("mode", ["jit", "vmap"])
    def test_wave_is_the_same_under_jit_and_vmap(self, mode):
        config = SoundConfig(sample_rate=RATE)
        picture = build_chord(6)
        frequencies, phase_row = tune(6, config)
        increments = jnp.asarray(oscillators.phase_increment(frequencies, RATE))
        function = {
            "jit": jax.jit(lambda p: sound.wave(p, increments, jnp.asarray(phase_row), config)),
            "vmap": lambda p: jax.vmap(lambda q: sound.wave(q, increments, jnp.asarray(phase_row), config))(p[None])[0],
        }[mode]
        np.testing.assert_allclose(function(picture), synthesize(picture, 6, config), atol=1e-5)


class TestPitch:
    @pytest.mark.parametrize("label", range(10))
    def test_exact_tuning_is_within_five_cents_for_every_digit(self, label):
        assert measure_pitch_error(synthesize(build_chord(label), label, SoundConfig(sample_rate=RATE)), label) <= 5

    def test_whole_hertz_detune_the_worst_digit_by_31_to_38_cents(self):
        errors = [
            measure_pitch_error(
                synthesize(build_chord(label), label, SoundConfig(sample_rate=RATE, exact=False)), label
            )
            for label in range(10)
        ]
        assert np.argmax(errors) == 0
        assert 31 <= max(errors) <= 38
        expected = [
            np.abs(1200 * np.log2(theory.chord_rows(y) / theory.exact_frequencies_hz(y))).max() for y in range(10)
        ]
        np.testing.assert_allclose(errors, expected, atol=2)

    def test_smeared_target_of_a_real_digit_keeps_its_pitch(self):
        """All rows of a smeared note share one frequency and one phase."""
        train, _ = data.load(DigitsConfig())
        c = Conditioning()
        ops = conditioning.operators(c)
        for i in range(3):
            digit, label = jnp.asarray(train.image[i] / np.float32(255)), int(train.label[i])
            picture = conditioning.target(ops, c, digit, jnp.int32(label), jnp.int32(0), jax.random.key(i))
            assert measure_pitch_error(synthesize(picture, label, SoundConfig(sample_rate=RATE)), label) <= 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_rate": 999}, "sample_rate=999 Hz is not between"),
        ({"sample_rate": 400_000}, "sample_rate"),
        ({"duration_s": 0.0}, "duration_s"),
        ({"duration_s": 601.0}, "duration_s"),
        ({"duration_s": float("nan")}, "duration_s"),
        ({"octave": -3}, "octave=-3"),
        ({"octave": 9}, "octave=9"),
    ],
)
def test_invalid_options_raise(options, message):
    with pytest.raises(ValueError, match=message):
        SoundConfig(**options)
