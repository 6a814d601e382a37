"""Music theory of the chord paper: from labels to notes, from notes to chords, and from chords to spectrogram rows.

Row r of a spectrogram stands for r Hz. Labels count semitones from A0. A chord quality, such as major, is defined by
just intervals: exact frequency ratios of its notes to the fundamental f0.

The paper rounds f0 to whole hertz and rounds its multiples down (section 2.3). This detunes a major triad by up to 31
cents, and its third relative to its root by up to 38. `exact_frequencies_hz` does not round.
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
    """Compute the fundamental frequency of a label, in Hz (chord paper, section 2.3).

    It is `base_hz * 2^(label / 12)`, so each label is one semitone above the one before.
    """
    return base_hz * 2.0 ** (label / SEMITONES)


def fundamental_row(label: int, base_hz: float = A0_HZ) -> int:
    """Compute the spectrogram row of a label's fundamental: its frequency rounded to whole hertz.

    With label 0 at A0, labels 0 to 9 have the rows 28 29 31 33 35 37 39 41 44 46.
    """
    return round(fundamental_hz(label, base_hz))


def note_name(label: int) -> str:
    """Return the name of a label's note, with label 0 at A0: A0, A#0, B0, C1, ..."""
    names = ("A", "A#", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#")
    return f"{names[label % SEMITONES]}{(label + 9) // SEMITONES}"


def chord_rows(label: int, quality: str = "major", base_hz: float = A0_HZ) -> Int[np.ndarray, " notes"]:
    """Compute the spectrogram rows of a chord's notes (row r stands for r Hz).

    The fundamental f0 is rounded to whole hertz. It is multiplied by the ratios of the chord quality, and the products
    are rounded down. A major triad has the rows {f0, floor(1.25 f0), floor(1.5 f0)}.
    """
    f0 = fundamental_row(label, base_hz)
    return np.array([f0 * ratio.numerator // ratio.denominator for ratio in QUALITIES[quality]])


def exact_frequencies_hz(label: int, quality: str = "major", base_hz: float = A0_HZ) -> Float[np.ndarray, " n"]:
    """Compute the exact frequencies of a chord's notes in Hz, in just intonation and without rounding."""
    return fundamental_hz(label, base_hz) * np.array([float(ratio) for ratio in QUALITIES[quality]])


def partials_hz(label: int, quality: str, partials: str, size: int = 1008, base_hz: float = A0_HZ) -> dict[int, float]:
    """Compute the partials of a chord that lie below row `size` of a spectrogram (row r stands for r Hz).

    Args:
      label: label of the chord's fundamental.
      quality: chord quality, a key of `QUALITIES`.
      partials: which partials belong to the chord.
        `triad`: only the notes of the chord (the paper's formula).
        `octaves`: the notes and all their octaves.
        `harmonics`: all integer multiples of each note. A note is `ratio * f0`, with a ratio from `QUALITIES`. f0 is
          the fundamental rounded to whole hertz. Multiple n is in row `floor(n * ratio * f0)`.
        `divisible`: row 0, and the multiples for which `n * ratio * f0` is an integer. The code of the paper's authors
          does this. For example, only every fourth multiple of a major third (ratio 5/4) remains if f0 is odd.
      size: number of rows of the spectrogram.
      base_hz: fundamental frequency of label 0, in Hz.

    Returns:
      The exact frequency in Hz of each partial, by row, in ascending order.

    Raises:
      ValueError: `partials` or `quality` is unknown, or a note of the chord lies beyond the last row.
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
    """Compute the spectrogram rows of a chord's partials, in ascending order; for the arguments see `partials_hz`."""
    return np.array(list(partials_hz(label, quality, partials, size, base_hz)))


def highest_label(size: int = 1008, base_hz: float = A0_HZ) -> int:
    """Return the largest label for which the chord of every quality lies below row `size`; -1 if there is none."""
    top = max(max(ratios) for ratios in QUALITIES.values())
    label = -1
    while fundamental_row(label + 1, base_hz) * top < size:
        label += 1
    return label
