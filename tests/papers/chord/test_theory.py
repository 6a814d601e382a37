"""Labels to notes to rows: the paper's numbers, the rule of the authors' code, and just intervals."""

from itertools import pairwise

import numpy as np
import pytest

from specjax.papers.chord import theory
from specjax.papers.chord.conditioning import Conditioning

DIGITS = range(10)


def compute_detuning_cents(label, quality="major"):
    rows, exact = theory.chord_rows(label, quality), theory.exact_frequencies_hz(label, quality)
    return 1200 * np.log2(rows / exact)


def test_fundamental_rows_of_digits_match_the_paper():
    assert [theory.fundamental_row(label) for label in DIGITS] == [28, 29, 31, 33, 35, 37, 39, 41, 44, 46]


def test_fundamental_rows_of_labels_above_the_digits():
    assert [theory.fundamental_row(label) for label in (11, 12)] == [52, 55]


def test_labels_are_a_semitone_apart():
    frequencies = [theory.fundamental_hz(label) for label in range(25)]
    assert frequencies[0] == 27.5
    assert frequencies[12] == pytest.approx(55.0)
    for low, high in pairwise(frequencies):
        assert 1200 * np.log2(high / low) == pytest.approx(100.0)


def test_note_names_are_those_of_a_piano():
    names = [theory.note_name(label) for label in (0, 1, 2, 3, 10, 11, 12, 15, 39)]
    assert names == ["A0", "A#0", "B0", "C1", "G1", "G#1", "A1", "C2", "C4"]


def test_triad_of_label_zero_matches_the_paper():
    np.testing.assert_array_equal(theory.chord_rows(0), [28, 35, 42])


@pytest.mark.parametrize("label", DIGITS)
def test_triads_are_floored_multiples(label):
    f0 = theory.fundamental_row(label)
    np.testing.assert_array_equal(theory.chord_rows(label), [f0, np.floor(1.25 * f0), np.floor(1.5 * f0)])


def test_triads_of_all_digits_lie_in_rows_27_to_69():
    rows = np.concatenate([theory.chord_rows(label) for label in DIGITS])
    assert rows.min() >= 27
    assert rows.max() == 69


def test_rounding_and_flooring_detune_the_worst_digit_by_31_cents():
    worst = [np.abs(compute_detuning_cents(label)).max() for label in DIGITS]
    assert np.argmax(worst) == 0
    assert 31 <= max(worst) <= 38
    np.testing.assert_allclose(compute_detuning_cents(0), 1200 * np.log2(28 / 27.5), rtol=1e-12)


def test_every_quality_is_detuned_by_less_than_half_a_semitone():
    worst = max(
        np.abs(compute_detuning_cents(label, quality)).max() for label in DIGITS for quality in theory.QUALITIES
    )
    assert 38 < worst < 50


@pytest.mark.parametrize(
    ("quality", "semitones"),
    [
        ("major", [0, 4, 7]),
        ("minor", [0, 3, 7]),
        ("diminished", [0, 3, 6]),
        ("augmented", [0, 4, 8]),
        ("sus2", [0, 2, 7]),
        ("sus4", [0, 5, 7]),
        ("7", [0, 4, 7, 10]),
        ("maj7", [0, 4, 7, 11]),
        ("m7", [0, 3, 7, 10]),
    ],
)
def test_just_intervals_match_the_names_of_the_qualities(quality, semitones):
    """Just intervals lie within a third of a semitone of the equal-tempered ones."""
    exact = theory.exact_frequencies_hz(0, quality) / 27.5
    np.testing.assert_allclose(12 * np.log2(exact), semitones, atol=1 / 3)


def test_there_are_nine_qualities():
    assert len(theory.QUALITIES) == len(theory.QUALITY_NAMES) == 9


@pytest.mark.parametrize(
    ("partials", "expected"),
    [
        ("triad", [28, 35, 42]),
        ("octaves", [28, 35, 42, 56, 70, 84, 112, 140, 168, 224]),
        ("harmonics", [28, 35, 42, 56, 70, 84, 105, 112, 126, 140, 168, 175, 196, 210, 224, 245]),
        ("divisible", [0, 28, 35, 42, 56, 70, 84, 105, 112, 126, 140, 168, 175, 196, 210, 224, 245]),
    ],
)
def test_partials_of_label_zero_below_row_252(partials, expected):
    np.testing.assert_array_equal(theory.partial_rows(0, "major", partials, 252), expected)


@pytest.mark.parametrize("label", [*DIGITS, 11, 12])
def test_divisible_matches_the_float_modulo_of_the_authors_code(label):
    f0 = theory.fundamental_row(label)
    rows = np.arange(1008)
    kept = (rows % f0 == 0) | (rows % (1.25 * f0) == 0) | (rows % (1.5 * f0) == 0)
    np.testing.assert_array_equal(theory.partial_rows(label, "major", "divisible"), rows[kept])


def test_divisible_misses_most_thirds_and_fifths_of_an_odd_fundamental():
    """For f0 = 29, only every fourth multiple of 36.25 and every second of 43.5 remain; the triad loses both notes."""
    rows = theory.partial_rows(1, "major", "divisible")
    assert {36, 43}.isdisjoint(rows)
    assert {87, 145, 174, 290}.issubset(rows)


@pytest.mark.parametrize("quality", theory.QUALITIES)
@pytest.mark.parametrize("label", [0, 1, 6, 9])
def test_harmonics_are_all_multiples_of_all_ratios(label, quality):
    f0 = theory.fundamental_row(label)
    ratios = [(ratio.numerator, ratio.denominator) for ratio in theory.QUALITIES[quality]]
    expected = {n * f0 * a // b for a, b in ratios for n in range(1, 1008) if n * f0 * a // b < 1008}
    rows = theory.partial_rows(label, quality, "harmonics")
    assert set(rows.tolist()) == {row for row in expected if row < 1008}


@pytest.mark.parametrize("quality", theory.QUALITIES)
def test_octaves_contain_only_octaves_of_the_chord_notes(quality):
    """Every row, halved without remainder often enough, is a note of the chord."""
    notes = set(theory.chord_rows(3, quality).tolist())
    for row in theory.partial_rows(3, quality, "octaves").tolist():
        while row not in notes:
            assert row % 2 == 0
            row //= 2


@pytest.mark.parametrize("partials", theory.PARTIALS)
@pytest.mark.parametrize("quality", theory.QUALITIES)
def test_partials_ascend_below_size_and_include_the_fundamental(partials, quality):
    for label in (0, 9):
        rows = theory.partial_rows(label, quality, partials)
        assert np.all(np.diff(rows) > 0)
        assert rows.min() >= 0
        assert rows.max() < 1008
        assert theory.fundamental_row(label) in rows


@pytest.mark.parametrize("size", [112, 252, 1008])
def test_highest_label_is_the_last_that_fits_in_every_quality(size):
    top = theory.highest_label(size)
    fits = [
        max(theory.chord_rows(label, quality).max() for quality in theory.QUALITIES) < size for label in range(top + 13)
    ]
    assert all(fits[: top + 1])
    assert not any(fits[top + 1 :])


def test_highest_label_is_minus_one_if_none_fits():
    """The chord maj7 of label 0 reaches row 52."""
    assert theory.highest_label(53) == 0
    assert theory.highest_label(52) == -1


def test_chord_past_the_last_row_raises_and_names_the_labels_that_fit():
    with pytest.raises(ValueError, match=r"label 9 .* row 69, past the last of 69 rows: use labels up to 4"):
        theory.partial_rows(9, "major", "triad", 69)
    theory.partial_rows(9, "major", "triad", 70)


@pytest.mark.parametrize(
    ("quality", "partials", "message"),
    [
        ("major", "odd", "partials='odd' is unknown: choose one of triad, octaves, harmonics, divisible"),
        ("phrygian", "triad", "quality 'phrygian' is unknown: choose one of major, minor"),
    ],
)
def test_unknown_names_raise(quality, partials, message):
    with pytest.raises(ValueError, match=message):
        theory.partial_rows(0, quality, partials)


@pytest.mark.parametrize("base_hz", [0.0, -27.5])
def test_base_frequency_that_is_not_positive_raises(base_hz):
    with pytest.raises(ValueError, match="base_hz"):
        Conditioning(base_hz=base_hz)
