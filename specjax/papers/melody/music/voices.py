"""Notes of single voices: rhythms, the octaves of chords, bass lines and melodies.

Every function returns loudness or pitch at each step of a piece, for one or more voices. Pitches are MIDI note numbers:
69 is A4 (440 Hz), and an octave has 12.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from specjax.papers.melody.music.draws import PHRASE_BARS, Choices, Draws, between
from specjax.papers.melody.music.tables import BARS, STEPS_PER_BAR, MelodyPart, Rhythm, Tables

Integer = Int[Array, ""]
Velocity = Float[Array, "voices steps"]  # loudness in [0, 1] of the notes that begin at each step; 0: no note begins
Pitch = Int[Array, "voices steps"]

STEPS = BARS * STEPS_PER_BAR
IN_BAR, HALF_BAR = np.arange(STEPS) % STEPS_PER_BAR, np.arange(STEPS) // (STEPS_PER_BAR // 2)

_FORM = np.array([0, 0, 1, 0, 0, 1])  # the phrase that the melody plays in each group of four bars
_LOWEST_BASS = 28  # E1, 41 Hz
_RANGE_OCTAVES = 1.4  # of the melody
_HARMONY_VELOCITY = 0.6  # of the second voice of the melody, relative to the first
_LOGISTIC = np.sqrt(3) / np.pi  # turns the logarithm of odds into a number with a standard deviation of 1


class Harmony(NamedTuple):
    """Chords in each half bar of a piece.

    Attributes:
      roots: pitch of the root, in any octave.
      intervals: semitones of the four notes above the root.
    """

    roots: Int[Array, " half_bars"]
    intervals: Int[Array, "half_bars 4"]

    @property
    def notes(self) -> Int[Array, "half_bars 4"]:
        """Pitches of the four notes, in any octave."""
        return self.roots[:, None] + self.intervals


def rhythm_velocity(
    rhythm: Rhythm, in_track: Float[Array, "#voices 1 bar_steps"], in_bar: Float[Array, "#voices bars bar_steps"]
) -> Velocity:
    """Decide which notes of a rhythm are played, by random numbers in [0, 1)."""
    velocity, track, bar = (x[:, None] for x in rhythm)
    played = (in_track < track) & (in_bar < bar)
    return jnp.where(played, velocity, 0.0).reshape(len(velocity), STEPS)


def drum_velocity(draws: Draws, tables: Tables) -> Velocity:
    """Compose the rhythms of kick, snare and hat, with fills of the snare at the end of every fourth bar."""
    velocity = rhythm_velocity(tables.drums, draws.drums_in_track, draws.drums_in_bar)
    bars = velocity.reshape(3, -1, PHRASE_BARS * STEPS_PER_BAR)
    fill = jnp.where(draws.fills < tables.fill, 0.8, bars[1, :, -4:])
    return bars.at[1, :, -4:].set(fill).reshape(3, STEPS)


def register(u: Float[Array, ""]) -> Integer:
    """Choose a shift of up to three semitones by a number in [0, 1)."""
    return (7 * u).astype(int) - 3


def chord_pitch(harmony: Harmony, lowest: Integer, stacked: Bool[Array, ""]) -> Pitch:
    """Choose the octaves of the notes of each chord.

    Args:
      harmony: chords.
      lowest: lower end of the octave in which chords are placed.
      stacked: the notes lie above the root. Otherwise they lie within the octave, except that an interval of an octave
        lies above it.
    """
    above_root = _raise(harmony.roots, lowest)[:, None] + harmony.intervals
    within = _raise(harmony.notes, lowest) + 12 * (harmony.intervals // 12)
    return jnp.where(stacked, above_root, within)[HALF_BAR].T


def bass_velocity(degree: Int[Array, " bar_steps"]) -> Velocity:
    """Return 1 at the steps where the bass has a degree, and 0 elsewhere."""
    return (degree[IN_BAR] >= 0).astype(jnp.float32)[None]


def bass_pitch(degree: Int[Array, " bar_steps"], harmony: Harmony) -> Pitch:
    """Compute the pitch of the bass from degrees of the chord, which are indices into `styles.DEGREES`."""
    root, (_, third, fifth, seventh) = _raise(harmony.roots, _LOWEST_BASS), harmony.intervals.T
    zero = jnp.zeros_like(root)
    approach = jnp.roll(root, -1) - 1 - root
    above_root = jnp.stack([zero, third, fifth, zero + 9, seventh, approach, zero + 12])
    return (root[HALF_BAR] + above_root[degree[IN_BAR], HALF_BAR])[None]


def melody_notes(
    draws: Draws, tables: Tables, part: MelodyPart, harmony: Harmony, tonic: Integer
) -> tuple[Velocity, Pitch]:
    """Compose the two voices of a melody: a random walk on the scale, which keeps to notes of the chord on beats."""
    choices = Choices(*draws.choices)
    density = jnp.tile(part.density, PHRASE_BARS) * between(0.75, 1.25, choices.density)
    onsets = draws.onsets < density[None]
    u = jnp.clip(draws.moves, 0.02, 0.98)
    moves = jnp.round(part.leap * _LOGISTIC * jnp.log(u / (1 - u))).astype(int)

    span = (_RANGE_OCTAVES * tables.scale_length.astype(jnp.float32)).astype(int)
    walk = jnp.cumsum(jnp.where(onsets, moves, 0), axis=1) + (choices.first_note * span.astype(jnp.float32)).astype(int)
    # Reflect the walk at both ends of the range.
    degree = (span - jnp.abs(walk % (2 * span) - span))[_FORM].reshape(STEPS)
    bottom = _raise(tables.scale[0] + tonic, part.lowest + register(choices.melody_register))

    def to_pitch(degree: Int[Array, " steps"]) -> Int[Array, " steps"]:
        octave, note = degree // tables.scale_length, degree % tables.scale_length
        above = (tables.scale[note] - tables.scale[0]) % 12
        return _to_chord(bottom + 12 * octave + above, harmony)

    first = onsets[_FORM].reshape(STEPS).astype(jnp.float32)
    second = jnp.where(part.harmony == 0, 0.0, _HARMONY_VELOCITY * first)
    return jnp.stack([first, second]), jnp.stack([to_pitch(degree), to_pitch(degree + part.harmony)])


def _to_chord(pitch: Int[Array, " steps"], harmony: Harmony) -> Int[Array, " steps"]:
    """Move pitches on beats to the nearest note of the chord."""
    moves = (harmony.notes[HALF_BAR] - pitch[:, None] + 6) % 12 - 6
    nearest = jnp.take_along_axis(moves, jnp.abs(moves).argmin(axis=1, keepdims=True), axis=1)[:, 0]
    return pitch + jnp.where(IN_BAR % 4 == 0, nearest, 0)


def _raise(pitch: Int[Array, "*shape"], lowest: Int[Array, ""] | int) -> Int[Array, "*shape"]:
    """Transpose pitches by octaves into the octave that begins at `lowest`."""
    return lowest + (pitch - lowest) % 12
