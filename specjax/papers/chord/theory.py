"""Labels to notes, notes to chords, chords to spectrogram rows.

Row r of a spectrogram stands for r Hz. A chord quality is named by its just intervals: exact frequency ratios to
the fundamental. The paper rounds f0 and floors its multiples (section 2.3), which detunes a major triad by up to 31
cents, and its third against its root by up to 38; `exact_frequencies_hz` keeps the ratios.
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
    """f0 = base * 2^(label / 12): one semitone a label (section 2.3)."""
    return base_hz * 2.0 ** (label / SEMITONES)


def fundamental_row(label: int, base_hz: float = A0_HZ) -> int:
    """f0 rounded to a row: 28 29 31 33 35 37 39 41 44 46 for the digits over A0."""
    return round(fundamental_hz(label, base_hz))


def note_name(label: int) -> str:
    """Name of the label's note over A0: A0, A#0, B0, C1, ..."""
    names = ("A", "A#", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#")
    return f"{names[label % SEMITONES]}{(label + 9) // SEMITONES}"


def chord_rows(label: int, quality: str = "major", base_hz: float = A0_HZ) -> Int[np.ndarray, " notes"]:
    """Rows of the chord's notes: f0 and its floored multiples, {f0, floor(1.25 f0), floor(1.5 f0)} for a major."""
    f0 = fundamental_row(label, base_hz)
    return np.array([f0 * ratio.numerator // ratio.denominator for ratio in QUALITIES[quality]])


def exact_frequencies_hz(label: int, quality: str = "major", base_hz: float = A0_HZ) -> Float[np.ndarray, " n"]:
    """Frequencies of the chord's notes in just intonation over the unrounded fundamental."""
    return fundamental_hz(label, base_hz) * np.array([float(ratio) for ratio in QUALITIES[quality]])


def partials_hz(label: int, quality: str, partials: str, size: int = 1008, base_hz: float = A0_HZ) -> dict[int, float]:
    """A chord's partials below row `size`: row -> exact frequency, rows rising.

    Args:
      partials: `triad`, the chord's notes alone (the paper's formula); `octaves`, the notes doubled up to the
        top, which stays the same chord; `harmonics`, every integer multiple of every note's exact ratio to the
        rounded fundamental, floored to a row; `divisible`, rows that divide exactly by f0 or one of its multiples
        (the authors' code: row 0 is always kept and most thirds and fifths vanish).

    Raises:
      ValueError: unknown name, or the chord reaches past the last row.
    """
    if partials not in PARTIALS:
        raise ValueError(f"partials={partials!r} is unknown: choose one of {', '.join(PARTIALS)}")
    if quality not in QUALITIES:
        raise ValueError(f"chord quality {quality!r} is unknown: choose one of {', '.join(QUALITIES)}")
    rows = chord_rows(label, quality, base_hz)
    if rows.max() >= size:
        raise ValueError(
            f"label {label} puts its {quality} chord at row {rows.max()}, past the last of {size} rows: "
            f"leave labels above {highest_label(size, base_hz)} out"
        )
    f0 = fundamental_row(label, base_hz)
    found: dict[int, float] = {}
    notes = zip(rows.tolist(), QUALITIES[quality], exact_frequencies_hz(label, quality, base_hz), strict=True)
    for row, ratio, hz in notes:
        if partials == "triad":
            found.setdefault(row, hz)
        elif partials == "octaves":
            found |= {row << k: hz * 2**k for k in range(size.bit_length())}
        elif partials == "harmonics":
            found |= {int(n * f0 * ratio): n * hz for n in range(1, size // f0 + 1)} | found
        else:
            found |= {r: float(r / (f0 * ratio)) * hz for r in range(size) if Fraction(r) % (f0 * ratio) == 0} | found
    return {row: float(found[row]) for row in sorted(found) if row < size}


def partial_rows(
    label: int, quality: str, partials: str, size: int = 1008, base_hz: float = A0_HZ
) -> Int[np.ndarray, " partials"]:
    """Rows of `partials_hz`."""
    return np.array(list(partials_hz(label, quality, partials, size, base_hz)))


def highest_label(size: int = 1008, base_hz: float = A0_HZ) -> int:
    """Largest label whose every chord quality stays below row `size`; -1 where none does."""
    top = max(max(ratios) for ratios in QUALITIES.values())
    label = -1
    while fundamental_row(label + 1, base_hz) * top < size:
        label += 1
    return label
