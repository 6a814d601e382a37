"""Metrics on hand-made profiles and on targets."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from conftest import modes
from specjax.papers.chord import conditioning, data, metrics, theory
from specjax.papers.chord.conditioning import Conditioning
from specjax.papers.chord.data import DigitsConfig

MODES = ["plain", "jit", "vmap"]
RATE = 4032


def build_profile(peaks, size=40):
    """Build a row profile with levels at the given rows, and zeros elsewhere."""
    levels = np.zeros(size, np.float32)
    for row, level in peaks.items():
        levels[row] = level
    return jnp.asarray(levels)


@lru_cache
def load_real_digits():
    train, _ = data.load(DigitsConfig())
    return train.image[:20] / np.float32(255), train.label[:20]


@pytest.mark.parametrize("mode", MODES)
def test_row_profile_is_the_mean_over_time(mode):
    picture = np.random.default_rng(0).random((5, 5), np.float32)
    result = modes(metrics.row_profile)[mode](jnp.asarray(picture))
    np.testing.assert_allclose(result, picture.mean(axis=1), rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([0, 1, 0, 2, 0], [1, 3]),
        ([3, 1, 0, 1, 2], [0, 4]),  # rows at the borders count
        ([0, 2, 2, 0, 0], [1]),  # a plateau counts once, at its first row
        ([0, 1, 2, 3, 2], [3]),
        ([1, 1, 1, 1, 1], [0]),
    ],
)
def test_local_maxima_by_example(levels, expected, mode):
    result = modes(metrics.local_maxima)[mode](jnp.array(levels, jnp.float32))
    np.testing.assert_array_equal(np.flatnonzero(result), expected)


class TestExactNotes:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(
        ("peaks", "rows", "expected"),
        [
            ({10: 1.0, 15: 0.5, 20: 0.2}, [10, 15, 20], True),
            ({10: 0.2, 15: 0.5, 20: 1.0}, [10, 15, 20], True),  # in any order of level
            ({10: 1.0, 15: 0.5, 20: 0.2, 30: 0.1}, [10, 15, 20], True),  # an additional weaker peak
            ({10: 1.0, 15: 0.5, 20: 0.2, 30: 0.3}, [10, 15, 20], False),  # an additional stronger peak
            ({10: 1.0, 15: 0.5, 21: 0.2}, [10, 15, 20], False),  # one note is a row off
            ({10: 1.0, 15: 0.5}, [10, 15, 20], False),  # one note is missing
            ({}, [10, 15, 20], False),  # silence
            ({10: 1.0, 15: 0.5, 20: 0.2}, [10, 15, 20, -1], True),  # padding
            ({10: 1.0, 15: 0.5, 20: 0.2, 30: 0.1}, [10, 15, 20, -1], True),
            ({10: 1.0, 15: 0.5, 20: 0.2, 30: 0.1}, [10, 15, 20, 30], True),
            ({10: 1.0, 15: 0.5, 20: 0.2, 30: 0.1}, [10, 15, 30, -1], False),
        ],
    )
    def test_by_example(self, peaks, rows, expected, mode):
        assert bool(modes(metrics.exact_notes)[mode](build_profile(peaks), jnp.array(rows))) == expected

    def test_weaker_peak_on_the_slope_of_a_broad_one_is_not_a_maximum(self):
        hill = jnp.exp(-((jnp.arange(40.0) - 12) ** 2) / 20) + build_profile({14: 0.01})
        assert not metrics.exact_notes(hill, jnp.array([12, 14]))


class TestRowF1:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(
        ("peaks", "expected"),
        [
            ({10: 1.0, 20: 0.5}, 1.0),
            ({10: 0.5, 20: 1.0, 30: 0.19}, 1.0),  # below a fifth of the strongest
            ({10: 1.0, 20: 0.5, 30: 0.21}, 0.8),
            ({10: 1.0}, 2 / 3),
            ({11: 1.0, 21: 0.5}, 0.0),
            ({}, 0.0),
        ],
    )
    def test_by_example(self, peaks, expected, mode):
        reference = build_profile({10: 0.8, 20: 0.8})
        assert float(modes(metrics.row_f1)[mode](build_profile(peaks), reference)) == pytest.approx(expected)


class TestOffChord:
    @pytest.mark.parametrize("mode", MODES)
    def test_energy_farther_than_six_rows_is_off_chord(self, mode):
        levels = np.zeros((40, 40), np.float32)
        levels[10], levels[16], levels[17], levels[3] = 1.0, 0.5, 0.1, 0.2
        # Rows 4 to 16 are near row 10.
        expected = 10 * np.log10((0.1**2 + 0.2**2) / (1.0**2 + 0.5**2))
        result = modes(metrics.off_chord_db)[mode](jnp.asarray(levels), jnp.array([10, -1]))
        assert float(result) == pytest.approx(expected, abs=1e-4)

    def test_padding_is_not_a_row(self):
        """If -1 were a row, the first rows would be near it."""
        picture = jnp.zeros((40, 40)).at[2].set(1.0).at[20].set(1.0)
        assert float(metrics.off_chord_db(picture, jnp.array([20, -1]))) == pytest.approx(0.0, abs=1e-4)

    def test_clean_chord_gives_the_floor_and_silence_is_finite(self):
        picture = jnp.zeros((40, 40)).at[20].set(1.0)
        assert float(metrics.off_chord_db(picture, jnp.array([20]))) == pytest.approx(-120, abs=0.1)
        assert np.isfinite(metrics.off_chord_db(jnp.zeros((40, 40)), jnp.array([20])))
        assert float(metrics.off_chord_db(picture, jnp.array([2]))) > 200

    def test_levels_outside_zero_to_one_are_clipped(self):
        picture = jnp.zeros((40, 40)).at[20].set(5.0).at[30].set(1.0).at[2].set(-3.0)
        assert float(metrics.off_chord_db(picture, jnp.array([20]))) == pytest.approx(0.0, abs=1e-4)

    @pytest.mark.parametrize("partials", ["triad", "octaves"])
    def test_smear_of_targets_stays_below_minus_55_db(self, partials):
        images, labels = load_real_digits()
        c = Conditioning(partials=partials)
        ops = conditioning.operators(c)
        function = jax.jit(partial(conditioning.target, ops, c, key=None))
        for i in range(3):
            picture = function(jnp.asarray(images[i]), jnp.int32(labels[i]), jnp.int32(0))
            rows = jnp.asarray(theory.partial_rows(int(labels[i]), "major", partials))
            assert float(metrics.off_chord_db(picture, rows)) <= -55


class TestSimilarity:
    @pytest.mark.parametrize("mode", MODES)
    def test_r_squared_matches_its_formula(self, mode):
        rng = np.random.default_rng(0)
        picture, reference = rng.random((2, 9, 9)).astype(np.float32)
        expected = 1 - ((picture - reference) ** 2).sum() / ((reference - reference.mean()) ** 2).sum()
        result = modes(metrics.r_squared)[mode](jnp.asarray(picture), jnp.asarray(reference))
        np.testing.assert_allclose(result, expected, rtol=1e-4)

    def test_r_squared_is_one_for_the_reference_and_zero_for_its_mean(self):
        reference = jnp.asarray(np.random.default_rng(0).random((9, 9), np.float32))
        assert float(metrics.r_squared(reference, reference)) == 1.0
        assert float(metrics.r_squared(jnp.full((9, 9), jnp.mean(reference)), reference)) == pytest.approx(0, abs=1e-5)
        assert np.isfinite(metrics.r_squared(reference, jnp.zeros((9, 9))))

    @pytest.mark.parametrize("mode", MODES)
    def test_envelope_correlation_is_pearson_correlation(self, mode):
        rng = np.random.default_rng(0)
        picture, digit = rng.normal(0.5, 0.5, (56, 56)).astype(np.float32), rng.random((28, 28), np.float32)
        upscale = jnp.asarray(conditioning.operators(Conditioning(size=56), 1).upscale)
        rows = np.array([28, 35, 42])
        expected = np.corrcoef(np.clip(picture, 0, 1)[rows].mean(axis=0), np.asarray(upscale) @ digit.mean(axis=0))[
            0, 1
        ]
        result = modes(lambda p, d: metrics.envelope_correlation(p, jnp.array([28, 35, 42, -1]), d, upscale))[mode](
            jnp.asarray(picture), jnp.asarray(digit)
        )
        np.testing.assert_allclose(result, expected, atol=1e-5)

    def test_envelope_correlation_of_silence_is_zero(self):
        upscale = jnp.asarray(conditioning.operators(Conditioning(size=56), 1).upscale)
        result = metrics.envelope_correlation(jnp.zeros((56, 56)), jnp.array([28]), jnp.ones((28, 28)), upscale)
        assert float(result) == 0.0


class TestDecoding:
    QUALITIES = theory.QUALITY_NAMES

    @pytest.mark.parametrize(("partials", "carry"), [("triad", "envelope"), ("octaves", "envelope")])
    def test_every_chord_is_decoded_from_its_own_target(self, partials, carry):
        c = Conditioning(partials=partials, carry=carry)
        ops = conditioning.operators(c, 10, self.QUALITIES)
        templates = jnp.asarray(metrics.profile_templates(ops.spread))
        digit = jnp.asarray(load_real_digits()[0][0])

        @jax.jit
        def decode(label, quality):
            # The normalization only shifts and scales the profile, so it is left out.
            picture = conditioning.smooth_spectrogram(ops, c, digit, label, quality)
            return metrics.decode_chord(metrics.row_profile(picture), templates)

        chords = [(label, quality) for label in range(10) for quality in range(9)]
        decoded = [tuple(int(x) for x in decode(jnp.int32(y), jnp.int32(q))) for y, q in chords]
        assert decoded == chords

    @pytest.mark.parametrize("mode", MODES)
    def test_decoding_ignores_scale_and_offset_of_the_profile(self, mode):
        c = Conditioning(size=112, row_sigma=50.0)
        templates = metrics.profile_templates(conditioning.operators(c, 10, self.QUALITIES).spread)
        scaled = jnp.asarray(0.01 * templates[7, 3] + 0.4)
        result = modes(lambda p: metrics.decode_chord(p, jnp.asarray(templates)))[mode](scaled)
        assert [int(x) for x in result] == [7, 3]

    def test_templates_have_zero_mean_and_unit_norm(self):
        templates = metrics.profile_templates(conditioning.operators(Conditioning(size=112), 10, self.QUALITIES).spread)
        assert templates.shape == (10, 9, 112)
        assert templates.dtype == np.float32
        np.testing.assert_allclose(templates.sum(axis=-1), 0, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(templates, axis=-1), 1, rtol=1e-5)


def synthesize_sines(*frequencies, seconds=1.0, rate=RATE):
    time = np.arange(round(rate * seconds)) / rate
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, len(frequencies))
    return jnp.asarray(sum(np.sin(2 * np.pi * f * time + p) for f, p in zip(frequencies, phases, strict=True)), "f4")


class TestPitch:
    @pytest.mark.parametrize(
        ("cents", "mode"), [(3.0, "plain"), (3.0, "vmap")] + [(c, "jit") for c in (0.0, 3.0, -20.0, 38.0, 90.0)]
    )
    def test_detuning_of_a_sine_is_measured_in_cents(self, cents, mode):
        wave = synthesize_sines(200 * 2 ** (cents / 1200))
        function = modes(lambda w, f: metrics.pitch_error_cents(w, f, RATE))[mode]
        assert float(function(wave, jnp.array([200.0, -1.0]))) == pytest.approx(abs(cents), abs=0.2)

    @pytest.mark.parametrize("frequency", [27.5, 28.3, 69.9, 440.0, 1900.0])
    def test_detuning_is_measured_at_all_frequencies(self, frequency):
        wave = synthesize_sines(frequency * 2 ** (10 / 1200))
        assert float(metrics.pitch_error_cents(wave, jnp.array([frequency]), RATE)) == pytest.approx(10, abs=1.0)

    def test_error_is_that_of_the_worst_note(self):
        exact = theory.exact_frequencies_hz(5)
        wave = synthesize_sines(exact[0], exact[1] * 2 ** (25 / 1200), exact[2] * 2 ** (-7 / 1200))
        error = metrics.pitch_error_cents(wave, jnp.asarray(exact, jnp.float32), RATE)
        assert float(error) == pytest.approx(25, abs=2)

    def test_pitch_error_of_silence_is_finite(self):
        assert np.isfinite(metrics.pitch_error_cents(jnp.zeros(RATE), jnp.array([100.0, -1.0]), RATE))
