"""Composition of a track: random numbers and the tables of a genre give the notes of every voice on a grid of steps.

A piece has `BARS` bars of 16 steps. Pitches are MIDI note numbers: 69 is A4 (440 Hz), and an octave has 12.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.papers.melody.music.draws import Choices, Draws, between, choose
from specjax.papers.melody.music.instruments import Kit
from specjax.papers.melody.music.tables import BARS, Tables
from specjax.papers.melody.music.voices import (
    IN_BAR,
    STEPS,
    Harmony,
    Pitch,
    Velocity,
    bass_pitch,
    bass_velocity,
    chord_pitch,
    drum_velocity,
    melody_notes,
    register,
    rhythm_velocity,
)
from specjax.signal.level import db_to_amplitude
from specjax.signal.tones import Instrument

Scalar = Float[Array, ""]
Integer = Int[Array, ""]

_JITTER_S = 0.012  # largest delay of a note
_STRUM_S = 0.005  # delay between the notes of a chord
_MIX_DB = 2.5  # largest deviation of a track's levels from those of its genre
_PEAKS = 0.5, 0.95

PARTS = np.array([0, 1, 1, 1, 1, 2, 2])  # part of each voice: bass, chords or melody
_STRUMMED = np.array([0, 0, 1, 2, 3, 0, 0], np.float32)  # notes of the same chord that a voice waits for

# Accents of the meter: first beat, other beats, other eighths, other sixteenths.
_ACCENTS = np.select([IN_BAR == 0, IN_BAR % 4 == 0, IN_BAR % 2 == 0], [1.0, 0.9, 0.8], 0.7).astype(np.float32)


class Notes(NamedTuple):
    """The note that each voice plays at each step, or has played last.

    Attributes:
      start: sample of the piece at which the note begins.
      end: sample at which it ends.
      velocity: loudness in [0, 1]; 0 before the first note.
      hz: frequency.
    """

    start: Int[Array, "voices steps"]
    end: Int[Array, "voices steps"]
    velocity: Velocity
    hz: Float[Array, "voices steps"]


class Recording(NamedTuple):
    """How a track sounds apart from its notes.

    Attributes:
      kit: sounds of the drums.
      instruments: timbres of bass, chords and melody, along the first axis of every array.
      levels: root mean squares of kick, snare, hat, bass, chords and melody.
      room_s, room_gain: reverberation time in seconds, and its root mean square relative to the direct sound.
      top_hz: frequency above which the recording falls off.
      push: gain into the soft limiter.
      peak: largest absolute value of a sample.
    """

    kit: Kit
    instruments: Instrument
    levels: Float[Array, " 6"]
    room_s: Scalar
    room_gain: Scalar
    top_hz: Scalar
    push: Scalar
    peak: Scalar


class Score(NamedTuple):
    """A track.

    Attributes:
      drums: notes of kick, snare and hat; their frequencies have no meaning.
      voices: notes of the other voices: bass, four notes of chords, and two voices of the melody (see `PARTS`).
      harmony: chords of the piece.
      beat: positions of the four sixteenths within a beat, in beats.
      beat_samples: length of a beat in samples.
      length: length of the piece in samples.
      recording: how the track sounds apart from its notes.
    """

    drums: Notes
    voices: Notes
    harmony: Harmony
    beat: Float[Array, " 4"]
    beat_samples: Scalar
    length: Integer
    recording: Recording


def choose_tempo(choices: Choices, tables: Tables) -> Scalar:
    """Choose the tempo of a track, in beats per minute."""
    return between(tables.tempo_bpm[0], tables.tempo_bpm[1], choices.tempo)


def compose(draws: Draws, tables: Tables, sample_rate: int) -> Score:
    """Compose a track.

    Args:
      draws: random numbers, from `draws.draw`.
      tables: tables of one genre, without the axis of genres.
      sample_rate: in Hz.
    """
    choices = Choices(*draws.choices)
    tonic = (12 * choices.tonic).astype(int)
    roots, intervals = (choose(x, choices.progression) for x in (tables.roots, tables.intervals))
    harmony = Harmony(roots + tonic, intervals)
    bass = choose(tables.bass, choices.bass)
    chords = choose(tables.chords, choices.chords)
    melody = choose(tables.melody, choices.melody)
    beat_samples = sample_rate * 60 / choose_tempo(choices, tables)
    length = jnp.round(BARS * 4 * beat_samples).astype(int)
    starts = _step_starts(tables.beat, beat_samples)

    drums = drum_velocity(draws, tables)
    chord_velocity = rhythm_velocity(chords.rhythm, draws.chords_in_track, draws.chords_in_bar)
    melody_velocity, melody_pitch = melody_notes(draws, tables, melody, harmony, tonic)
    velocity = jnp.concatenate([bass_velocity(bass.degree), chord_velocity, melody_velocity])
    velocity = velocity * (_ACCENTS * between(0.75, 1.0, draws.loudness))[None]
    lowest = chords.lowest + register(choices.chord_register)
    pitch = jnp.concatenate(
        [bass_pitch(bass.degree, harmony), chord_pitch(harmony, lowest, chords.stacked > 0), melody_pitch]
    )
    hold = jnp.stack([bass.hold, chords.hold, melody.hold])[PARTS] * beat_samples / 4
    # These voices are late by a few milliseconds, as people are; drums keep time.
    late_s = _JITTER_S * draws.delays[None] + _STRUM_S * _STRUMMED[:, None]

    notes = _place(
        jnp.concatenate([drums, velocity]),
        jnp.concatenate([jnp.zeros_like(drums, int), pitch]),
        starts[None] + (sample_rate * jnp.concatenate([jnp.zeros_like(drums), late_s])).astype(int),
        jnp.concatenate([jnp.full(len(drums), length), hold.astype(int)]),
        length,
    )
    return Score(
        drums=Notes(*(x[: len(drums)] for x in notes)),
        voices=Notes(*(x[len(drums) :] for x in notes)),
        harmony=harmony,
        beat=tables.beat,
        beat_samples=beat_samples,
        length=length,
        recording=_record(draws, tables, (bass.instrument, chords.instrument, melody.instrument)),
    )


def _step_starts(beat: Float[Array, " 4"], beat_samples: Scalar) -> Int[Array, " steps"]:
    """Compute the sample at which each step begins, from the positions of the four sixteenths within a beat."""
    beats = jnp.arange(STEPS // 4, dtype=jnp.float32)[:, None] + beat[None]
    return jnp.round(beats.reshape(STEPS) * beat_samples).astype(int)


def _record(draws: Draws, tables: Tables, instruments: tuple[Instrument, Instrument, Instrument]) -> Recording:
    """Choose how a track sounds, near what is usual in its genre."""
    choices = Choices(*draws.choices)
    stacked: Instrument = jax.tree.map(lambda *x: jnp.stack(x), *instruments)
    kick, snare, hat = (between(0.8, 1.25, u) for u in (choices.kick, choices.snare, choices.hat))
    kit = tables.kit
    return Recording(
        kit=Kit(
            kit.kick_hz * kick,
            kit.kick_s / kick,
            kit.snare_hz * snare,
            kit.snare_s / snare,
            kit.hat_hz * hat,
            kit.hat_s / hat,
        ),
        instruments=stacked._replace(bright_hz=stacked.bright_hz * 2.0 ** between(-0.5, 0.5, choices.bright)),
        levels=db_to_amplitude(tables.mix_db + between(-_MIX_DB, _MIX_DB, draws.mix)),
        room_s=tables.room_s * between(0.7, 1.4, choices.room),
        room_gain=db_to_amplitude(tables.room_db),
        top_hz=tables.top_hz * between(0.75, 1.25, choices.top),
        push=tables.push,
        peak=between(*_PEAKS, choices.level),
    )


def _place(
    velocity: Velocity, pitch: Pitch, starts: Int[Array, "voices steps"], hold: Int[Array, " voices"], length: Integer
) -> Notes:
    """Convert notes on the grid to the note that sounds at each step.

    Args:
      velocity: loudness of the notes that begin at each step.
      pitch: pitch of these notes.
      starts: sample at which each step begins.
      hold: largest length of a note in samples.
      length: length of the piece in samples.
    """
    step, begins = jnp.arange(STEPS)[None], velocity > 0
    current = jax.lax.cummax(jnp.where(begins, step, -1), axis=1)
    following = jax.lax.cummin(jnp.where(begins, step, STEPS), axis=1, reverse=True)
    following = jnp.concatenate([following[:, 1:], jnp.full_like(following[:, :1], STEPS)], axis=1)
    ends = jnp.concatenate([starts, jnp.full_like(starts[:, :1], length)], axis=1)
    index = jnp.maximum(current, 0)

    def at_note(values: Array) -> Array:
        return jnp.take_along_axis(values, index, axis=1)

    start = at_note(starts)
    end = jnp.minimum(start + hold[:, None], jnp.take_along_axis(ends, following, axis=1))
    hz = 440 * 2.0 ** ((at_note(pitch) - 69).astype(jnp.float32) / 12)
    return Notes(start, end, jnp.where(current < 0, 0.0, at_note(velocity)), hz)
