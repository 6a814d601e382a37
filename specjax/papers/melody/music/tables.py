"""Genres as arrays: the styles of all genres, stacked along a first axis, so that one program plays them all."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.papers.melody.music.instruments import INSTRUMENTS, Kit
from specjax.papers.melody.music.styles import DEGREES, STYLES, Bass, Chords, Melody, Style
from specjax.signal.tones import Instrument

BARS, STEPS_PER_BAR = 24, 16  # length of a piece, after which it begins again
HALF_BARS = 2 * BARS

Numbers = Float[Array, "*shape"]
Integers = Int[Array, "*shape"]

_PITCH_CLASSES = {
    "C": 0, "Db": 1, "D": 2, "Eb": 3, "E": 4, "F": 5, "F#": 6, "Gb": 6, "G": 7, "Ab": 8, "A": 9, "Bb": 10, "B": 11
}  # fmt: skip
_QUALITIES = {
    "": (0, 4, 7, 12),
    "m": (0, 3, 7, 12),
    "5": (0, 7, 12, 12),
    "7": (0, 4, 7, 10),
    "m7": (0, 3, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7b5": (0, 3, 6, 10),
}
_LONGEST_SCALE = 7
_SILENT = "." * STEPS_PER_BAR
# Velocity, probability that a track has the note, and probability that a bar of such a track has it.
_MARKS = {"X": (1, 1, 1), "x": (0.6, 1, 1), "o": (0.85, 0.5, 1), "?": (0.45, 1, 0.35), ".": (0, 0, 0)}


class Rhythm(NamedTuple):
    """Steps of a bar at which something plays; the steps are the last axis.

    Attributes:
      velocity: loudness in [0, 1]; 0 where it never plays.
      in_track: probability that a track has the note.
      in_bar: probability that a bar of such a track has it.
    """

    velocity: Numbers
    in_track: Numbers
    in_bar: Numbers


class ChordPart(NamedTuple):
    """Alternatives of `styles.Chords`, along the first axis of every array. Rhythms have the axes (note, step)."""

    instrument: Instrument
    hold: Numbers
    lowest: Integers
    stacked: Integers
    rhythm: Rhythm


class BassPart(NamedTuple):
    """Alternatives of `styles.Bass`, along the first axis of every array. A degree is an index into `DEGREES` or -1."""

    instrument: Instrument
    hold: Numbers
    degree: Integers


class MelodyPart(NamedTuple):
    """Alternatives of `styles.Melody`, along the first axis of every array. A density is a probability per step."""

    instrument: Instrument
    hold: Numbers
    density: Numbers
    lowest: Integers
    leap: Numbers
    harmony: Integers


class Tables(NamedTuple):
    """A `styles.Style` as arrays. Attributes that are not explained here are those of `Style`.

    Attributes:
      drums: rhythms of kick, snare and hat.
      roots: pitch class of the chord in each half bar of a piece, shape (alternatives, half bars); 0 is C.
      intervals: semitones of its four notes above the root, shape (alternatives, half bars, 4).
      scale: pitch classes of the scale in rising order, padded to 7 notes.
      scale_length: number of notes of the scale.
    """

    tempo_bpm: Numbers
    beat: Numbers
    drums: Rhythm
    fill: Numbers
    chords: ChordPart
    bass: BassPart
    melody: MelodyPart
    roots: Integers
    intervals: Integers
    scale: Integers
    scale_length: Integers
    mix_db: Numbers
    kit: Kit
    top_hz: Numbers
    room_s: Numbers
    room_db: Numbers
    push: Numbers


def parse_chord(symbol: str) -> tuple[int, tuple[int, ...]]:
    """Return the pitch class of a chord's root (0 is C) and the semitones of its four notes above the root."""
    root = symbol[: 2 if symbol[1:2] in ("b", "#") else 1]
    return _PITCH_CLASSES[root], _QUALITIES[symbol.removeprefix(root)]


def select(tree: Any, index: Integers | Int[np.ndarray, "*shape"]) -> Any:
    """Select one or more entries along the first axis of every array of a pytree."""
    return jax.tree.map(lambda x: jnp.asarray(x)[index], tree)


def _parse_harmony(progressions: tuple[str, ...]) -> tuple[Any, Any]:
    """Return roots and intervals of each half bar of a piece. Shorter progressions are repeated."""
    roots, intervals = [], []
    for text in progressions:
        halves = [parse_chord(chord) for bar in text.split() for chord in (bar.split("/") * 2)[:2]]
        chords = [halves[i % len(halves)] for i in range(HALF_BARS)]
        roots.append([root for root, _ in chords])
        intervals.append([notes for _, notes in chords])
    return _integers(roots), _integers(intervals)


def _parse_rhythms(rhythms: tuple[str, ...]) -> Rhythm:
    marks = _floats([[_MARKS[mark] for mark in rhythm or _SILENT] for rhythm in rhythms])
    return Rhythm(*np.moveaxis(marks, -1, 0))


def _parse_chords(part: Chords) -> ChordPart:
    rhythms = part.rhythms if len(part.rhythms) == 4 else part.rhythms * 4
    return ChordPart(
        INSTRUMENTS[part.instrument],
        _floats(part.hold),
        _integers(part.lowest),
        _integers(part.stacked),
        _parse_rhythms(rhythms),
    )


def _parse_bass(part: Bass) -> BassPart:
    degrees = [DEGREES.find(mark) for mark in part.line]
    return BassPart(INSTRUMENTS[part.instrument], _floats(part.hold), _integers(degrees))


def _parse_melody(part: Melody) -> MelodyPart:
    tenths = part.density.replace(".", "0")
    return MelodyPart(
        INSTRUMENTS[part.instrument],
        _floats(part.hold),
        _floats([int(digit) / 10 for digit in tenths]),
        _integers(part.lowest),
        _floats(part.leap),
        _integers(part.harmony),
    )


def _tabulate(style: Style) -> Tables:
    roots, intervals = _parse_harmony(style.progressions)
    scale = [_PITCH_CLASSES[note] for note in style.scale.split()]
    return Tables(
        tempo_bpm=_floats(style.tempo_bpm),
        beat=_floats(style.beat),
        drums=_parse_rhythms((style.kick, style.snare, style.hat)),
        fill=_floats(style.fill),
        chords=_stack([_parse_chords(part) for part in style.chords]),
        bass=_stack([_parse_bass(part) for part in style.bass]),
        melody=_stack([_parse_melody(part) for part in style.melody]),
        roots=roots,
        intervals=intervals,
        scale=_integers(scale + [0] * (_LONGEST_SCALE - len(scale))),
        scale_length=_integers(len(scale)),
        mix_db=_floats(style.mix_db),
        kit=style.kit,
        top_hz=_floats(style.top_hz),
        room_s=_floats(style.room_s),
        room_db=_floats(style.room_db),
        push=_floats(style.push),
    )


def _stack(parts: list) -> Any:
    """Stack the numbers of equal pytrees along a new first axis. Numbers of Python become 32-bit floats."""
    return jax.tree.map(lambda *x: np.stack([y if isinstance(y, np.ndarray) else _floats(y) for y in x]), *parts)


# The tables hold arrays of NumPy, so that importing this module does not start a device.
def _floats(values: Any) -> Any:
    return np.asarray(values, np.float32)


def _integers(values: Any) -> Any:
    return np.asarray(values, np.int32)


TABLES: Tables = _stack([_tabulate(style) for style in STYLES.values()])
