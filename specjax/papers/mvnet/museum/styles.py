"""Styles of the music of the museum, one for each era, written as tables for people to read and to change.

Five voices play: a melody, its echo, two of accompaniment, and a bass. A bar has 16 steps. Pitches are counted in
degrees of the scale of the era.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from specjax.signal.tones import Instrument

STEPS_PER_BAR = 16
_SCALE = 12  # notes of the longest scale

_LUTE = Instrument(900.0, 350.0, decay=1.8, release_s=0.06, detune_cents=4.0)
_HARPSICHORD = Instrument(2600.0, 1500.0, decay=2.5, release_s=0.03, detune_cents=2.0)
_CHAMBER_ORGAN = Instrument(450.0, even=0.5, attack_s=0.03, release_s=0.04)
_FLUTE = Instrument(500.0, attack_s=0.04, release_s=0.05, vibrato_cents=10.0)
_FORTEPIANO = Instrument(800.0, 700.0, decay=2.5, release_s=0.04)
_STRINGS = Instrument(1000.0, attack_s=0.12, release_s=0.2, vibrato_cents=25.0, glide=-0.5, detune_cents=12.0)
_PIANO = Instrument(700.0, 800.0, decay=0.8, release_s=0.4, detune_cents=2.0)
_XYLOPHONE = Instrument(1500.0, 700.0, even=0.2, attack_s=0.001, decay=9.0)
_BRASS = Instrument(1800.0, attack_s=0.02, decay=4.0, release_s=0.03, glide=-0.3)


class Voice(NamedTuple):
    """A voice of an era.

    Attributes:
      instrument: its timbre.
      rhythm: for each step of a bar, a digit: the chance in ninths that a note begins there, or `.` for none. In
        `TABLES`, the chances from 0 to 1.
      figure: notes of the accompaniment and of the bass, as degrees of the chord: 0, 1, 2 are its notes, 3 its root an
        octave higher. They take turns at the steps of a bar.
      lowest: degree of the scale that counts as the lowest; 0 is the tonic near middle C.
      level_db: level of the voice.
    """

    instrument: Instrument
    rhythm: Any
    figure: Any = (0,)
    lowest: Any = 0
    level_db: Any = 0.0


class Style(NamedTuple):
    """Music of an era.

    Attributes:
      scale: semitones of its degrees above the tonic. In `TABLES`, repeated to 12 numbers.
      scale_length: number of degrees.
      chord: degrees of a chord above its root.
      progressions: degrees of the roots of four bars; a composition has one of the progressions.
      tempo_bpm: tempo of music of the least and of the greatest density.
      leap: standard deviation of the steps of the melody, in degrees.
      consonant: 1 if the notes of the melody on beats belong to the chord, else 0.
      echo_steps, echo_shift: delay of the echo of the melody in steps, and its interval in degrees of the scale.
      dynamics: 0 if all notes are equally loud, 1 if some are silent.
      room_s: reverberation time in seconds.
      voices: melody, echo, two voices of accompaniment, and bass.
    """

    scale: Any
    scale_length: Any
    chord: Any
    progressions: Any
    tempo_bpm: Any
    leap: Any
    consonant: Any
    echo_steps: Any
    echo_shift: Any
    dynamics: Any
    room_s: Any
    voices: Any


_MAJOR, _DORIAN, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 9, 10), (0, 2, 3, 5, 7, 8, 11)
_WHOLE_TONE = (0, 2, 4, 6, 8, 10)

STYLES = {
    # A lute plays a canon at the lower fifth in the Dorian mode, slowly, over long notes of the bass.
    "renaissance": Style(
        scale=_DORIAN,
        scale_length=7,
        chord=(0, 2, 4),
        progressions=((0, 3, 4, 0), (0, 6, 3, 0), (0, 4, 6, 4)),
        tempo_bpm=(52.0, 92.0),
        leap=1.2,
        consonant=1,
        echo_steps=16,
        echo_shift=-4,
        dynamics=0.3,
        room_s=0.5,
        voices=(
            Voice(_LUTE, "9...6...9..36.3.", lowest=3),
            Voice(_LUTE, "9...6...9..36.3.", lowest=3, level_db=-2),
            Voice(_LUTE, "................"),
            Voice(_LUTE, "................"),
            Voice(_LUTE, "9.......6.......", (0,), -7, -2),
        ),
    ),
    # A harpsichord runs in sixteenths over a walking bass, through the circle of fifths in minor.
    "baroque": Style(
        scale=_MINOR,
        scale_length=7,
        chord=(0, 2, 4),
        progressions=((0, 3, 6, 2), (0, 3, 4, 0), (5, 1, 4, 0)),
        tempo_bpm=(66.0, 104.0),
        leap=1.0,
        consonant=1,
        echo_steps=16,
        echo_shift=-4,
        dynamics=0.0,
        room_s=0.9,
        voices=(
            Voice(_HARPSICHORD, "9797979797979797", lowest=4),
            Voice(_HARPSICHORD, "9.6.9.6.9.6.9.66", lowest=2, level_db=-5),
            Voice(_HARPSICHORD, "9.......9.......", (1,), 0, -6),
            Voice(_CHAMBER_ORGAN, "9...............", (2,), 0, -10),
            Voice(_CHAMBER_ORGAN, "9.9.9.9.9.9.9.9.", (0, 0, 2, 2, 3, 3, 1, 1), -10, 1),
        ),
    ),
    # A flute sings in major, with rests and doubled in thirds, over an Alberti bass of a fortepiano.
    "classical": Style(
        scale=_MAJOR,
        scale_length=7,
        chord=(0, 2, 4),
        progressions=((0, 3, 4, 0), (0, 5, 1, 4), (0, 4, 4, 0)),
        tempo_bpm=(84.0, 132.0),
        leap=1.5,
        consonant=1,
        echo_steps=0,
        echo_shift=-2,
        dynamics=0.5,
        room_s=0.7,
        voices=(
            Voice(_FLUTE, "9...5.5.9...2...", lowest=7),
            Voice(_FLUTE, "9...5.5.9...2...", lowest=7, level_db=-8),
            Voice(_FORTEPIANO, "9.9.9.9.9.9.9.9.", (0, 0, 2, 2, 1, 1, 2, 2), -3, -4),
            Voice(_FORTEPIANO, ".5.5.5.5.5.5.5.5", (3,), -3, -8),
            Voice(_FORTEPIANO, "9.......5.......", (0,), -9, -3),
        ),
    ),
    # Strings with vibrato sing wide intervals over arpeggios of a piano through three octaves, in minor and in a hall.
    "romantic": Style(
        scale=_MINOR,
        scale_length=7,
        chord=(0, 2, 4),
        progressions=((0, 5, 3, 4), (0, 2, 5, 4), (0, 3, 0, 4)),
        tempo_bpm=(46.0, 78.0),
        leap=2.5,
        consonant=1,
        echo_steps=0,
        echo_shift=-7,
        dynamics=0.7,
        room_s=2.2,
        voices=(
            Voice(_STRINGS, "9.....4.7.....4.", lowest=4),
            Voice(_STRINGS, "9.....4.7.....4.", lowest=4, level_db=-5),
            Voice(_PIANO, "9797979797979797", (0, 2, 3, 4, 5, 6, 7, 8, 7, 6, 5, 4, 3, 2, 4, 1), -10, -3),
            Voice(_PIANO, "9.......9.......", (4,), -4, -7),
            Voice(_PIANO, "9...............", (0,), -15, 0),
        ),
    ),
    # A xylophone leaps about a whole-tone scale off the beat, against short clusters of brass.
    "modern": Style(
        scale=_WHOLE_TONE,
        scale_length=6,
        chord=(0, 1, 3),
        progressions=((0, 1, 4, 3), (0, 3, 2, 5), (1, 0, 5, 2)),
        tempo_bpm=(96.0, 160.0),
        leap=4.0,
        consonant=0,
        echo_steps=3,
        echo_shift=6,
        dynamics=0.8,
        room_s=0.3,
        voices=(
            Voice(_XYLOPHONE, "3525352535253525", lowest=3),
            Voice(_XYLOPHONE, "3525352535253525", lowest=3, level_db=-4),
            Voice(_BRASS, "3..4..3..5..3.4.", (1,), -2, -3),
            Voice(_BRASS, "3..4..3..5..3.4.", (2,), -2, -3),
            Voice(_BRASS, "6.....5....4....", (0, 2), -9, -2),
        ),
    ),
}


def _tabulate(style: Style) -> Style:
    """Convert a style to arrays, with its voices along the first axis of the arrays of `voices`."""
    voices = [
        voice._replace(
            rhythm=[0 if digit == "." else int(digit) / 9 for digit in voice.rhythm],
            figure=np.resize(voice.figure, STEPS_PER_BAR),
            level_db=float(voice.level_db),
        )
        for voice in style.voices
    ]
    stacked = jax.tree.map(lambda *values: np.array(values), *voices, is_leaf=lambda x: isinstance(x, list))
    arrays = style._replace(voices=stacked, scale=np.resize(style.scale, _SCALE))
    return jax.tree.map(_convert, arrays, is_leaf=lambda x: isinstance(x, tuple) and not hasattr(x, "_fields"))


def _convert(values: Any) -> np.ndarray:
    """Convert numbers to an array of float32 or int32."""
    array = np.asarray(values)
    return array.astype(np.int32 if np.issubdtype(array.dtype, np.integer) else np.float32)


# All styles as arrays, with the eras along the first axis.
TABLES = jax.tree.map(lambda *values: np.stack(values), *map(_tabulate, STYLES.values()))
