"""Music theory of the chord paper: labels to notes, notes to chords, and chords to spectrogram rows.

Row r of a spectrogram stands for r Hz. A chord quality is defined by its just intervals, the exact frequency ratios to
the fundamental f0. The paper rounds f0 and floors its multiples (section 2.3). This detunes a major triad by up to 31
cents, and its third against its root by up to 38. `exact_frequencies_hz` keeps the ratios.
"""

from fractions import Fraction

import numpy as np
from jaxtyping import Float, Int

A0_HZ = 27.5
SEMITONES = 12

QUALITIES: dict[str, tuple[Fraction, ...]] = {
    "major": (Fraction(1), Fraction(5, 4), Fraction(3, 2)),
    "minor": (Fraction(1), Fraction(6, 5), Fraction(3, 2)),
    "diminished": (Fraction(1), Fraction(6, 5), Fraction(36, 25)),
    "augmented": (Fraction(1), Fraction(5, 4), Fraction(25, 16)),
    "sus2": (Fraction(1), Fraction(9, 8), Fraction(3, 2)),
    "sus4": (Fraction(1), Fraction(4, 3), Fraction(3, 2)),
    "7": (Fraction(1), Fraction(5, 4), Fraction(3, 2), Fraction(9, 5)),
    "maj7": (Fraction(1), Fraction(5, 4), Fraction(3, 2), Fraction(15, 8)),
    "m7": (Fraction(1), Fraction(6, 5), Fraction(3, 2), Fraction(9, 5)),
}
QUALITY_NAMES = tuple(QUALITIES)
PARTIALS = ("triad", "octaves", "harmonics", "divisible")


def fundamental_hz(label: int, base_hz: float = A0_HZ) -> float:
    """Compute the fundamental f0 = base * 2^(label / 12), one semitone per label (chord paper, section 2.3)."""
    return base_hz * 2.0 ** (label / SEMITONES)


def fundamental_row(label: int, base_hz: float = A0_HZ) -> int:
    """Round f0 to a row: 28 29 31 33 35 37 39 41 44 46 for the digits, with 0 at A0."""
    return round(fundamental_hz(label, base_hz))


def note_name(label: int) -> str:
    """Name the note of a label, with label 0 at A0: A0, A#0, B0, C1, ..."""
    names = ("A", "A#", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#")
    return f"{names[label % SEMITONES]}{(label + 9) // SEMITONES}"


def chord_rows(label: int, quality: str = "major", base_hz: float = A0_HZ) -> Int[np.ndarray, " notes"]:
    """Compute the rows of a chord's notes: the rounded f0 and its floored multiples.

    A major triad has the rows {f0, floor(1.25 f0), floor(1.5 f0)}.
    """
    f0 = fundamental_row(label, base_hz)
    return np.array([f0 * ratio.numerator // ratio.denominator for ratio in QUALITIES[quality]])


def exact_frequencies_hz(label: int, quality: str = "major", base_hz: float = A0_HZ) -> Float[np.ndarray, " n"]:
    """Compute the frequencies of a chord's notes, in just intonation over the unrounded fundamental."""
    return fundamental_hz(label, base_hz) * np.array([float(ratio) for ratio in QUALITIES[quality]])


def partials_hz(label: int, quality: str, partials: str, size: int = 1008, base_hz: float = A0_HZ) -> dict[int, float]:
    """Compute a chord's partials below row `size`, as a dict from row to exact frequency, in ascending order.

    Args:
      partials: which partials belong to the chord.
        `triad`: the notes of the chord alone (the paper's formula).
        `octaves`: the notes and all their octaves, which is still the same chord.
        `harmonics`: all integer multiples of each note, that is of its exact ratio times the rounded fundamental,
          floored to a row.
        `divisible`: rows that are exact multiples of f0 or of one of its ratios (the authors' code). Row 0 is always
          kept, and most thirds and fifths vanish.

    Raises:
      ValueError: `partials` or `quality` is unknown, or the chord passes the last row.
    """
    if partials not in PARTIALS:
        raise ValueError(f"partials={partials!r} is unknown: choose one of {', '.join(PARTIALS)}")
    if quality not in QUALITIES:
        raise ValueError(f"chord quality {quality!r} is unknown: choose one of {', '.join(QUALITIES)}")
    rows = chord_rows(label, quality, base_hz)
    if rows.max() >= size:
        raise ValueError(
            f"the {quality} chord of label {label} reaches row {rows.max()}, past the last of {size} rows: "
            f"use labels up to {highest_label(size, base_hz)}"
        )
    f0 = fundamental_row(label, base_hz)
    result: dict[int, float] = {}
    notes = zip(rows.tolist(), QUALITIES[quality], exact_frequencies_hz(label, quality, base_hz), strict=True)
    for row, ratio, hz in notes:
        if partials == "triad":
            result.setdefault(row, hz)
        elif partials == "octaves":
            result |= {row << k: hz * 2**k for k in range(size.bit_length())}
        elif partials == "harmonics":
            result |= {int(n * f0 * ratio): n * hz for n in range(1, size // f0 + 1)} | result
        else:
            result |= {r: float(r / (f0 * ratio)) * hz for r in range(size) if Fraction(r) % (f0 * ratio) == 0} | result
    return {row: float(result[row]) for row in sorted(result) if row < size}


def partial_rows(
    label: int, quality: str, partials: str, size: int = 1008, base_hz: float = A0_HZ
) -> Int[np.ndarray, " partials"]:
    """Compute the rows of `partials_hz`."""
    return np.array(list(partials_hz(label, quality, partials, size, base_hz)))


def highest_label(size: int = 1008, base_hz: float = A0_HZ) -> int:
    """Find the largest label whose chords of every quality lie below row `size`; -1 if there is none."""
    top = max(max(ratios) for ratios in QUALITIES.values())
    label = -1
    while fundamental_row(label + 1, base_hz) * top < size:
        label += 1
    return label
