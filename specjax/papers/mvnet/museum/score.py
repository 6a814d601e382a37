"""Scores of the music of the museum: which notes each voice plays, composed from random numbers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from specjax.papers.mvnet.museum.attributes import Attributes
from specjax.papers.mvnet.museum.styles import STEPS_PER_BAR, Style

BARS = 8  # enough for the fastest music
STEPS = BARS * STEPS_PER_BAR
_IN_BAR, _BAR = np.arange(STEPS) % STEPS_PER_BAR, np.arange(STEPS) // STEPS_PER_BAR
_ON_BEAT = np.arange(STEPS) % 4 == 0
_MIDDLE_C = 60  # MIDI number; an octave has 12
_RANGE = 10  # degrees between the lowest and the highest note of a melody
_CONTRAST = 4.0  # of the chances of notes: least density squares them, greatest takes the root

Scalar = Float[Array, ""]
ByStep = Int[Array, " steps"]
Degrees = Int[Array, "voices steps"]


class Score(NamedTuple):
    """Notes of a clip.

    Attributes:
      step_s: duration of a step in seconds, a quarter of a beat.
      onset: whether a voice begins a note at a step.
      pitch: MIDI number of the note.
      velocity: loudness of the note, 0 to 1.
    """

    step_s: Scalar
    onset: Bool[Array, "voices steps"]
    pitch: Float[Array, "voices steps"]
    velocity: Float[Array, "voices steps"]


def compose(style: Style, attributes: Attributes, composition: Key[Array, ""], clip: Key[Array, ""]) -> Score:
    """Compose a clip.

    Args:
      style: the era's, with arrays as in `TABLES`.
      attributes: the density decides on tempo and number of notes.
      composition: random key of the composition, which decides on the tonic and the harmony.
      clip: random key of the clip.
    """
    chance, choice, turn = jax.random.uniform(composition, (3,))
    tonic = _MIDDLE_C - 4 + (8 * chance).astype(int)
    progressions = len(style.progressions)
    progression = style.progressions[jnp.minimum((progressions * choice).astype(int), progressions - 1)]
    root = progression[(_BAR + (4 * turn).astype(int)) % 4]

    onsets, moves, loudness = jax.random.uniform(clip, (3, len(style.voices.lowest), STEPS))
    # The echo has the notes of the melody, later.
    source = jnp.stack([onsets[0], jnp.roll(onsets[0], style.echo_steps), *onsets[2:]])
    rhythm = jnp.tile(style.voices.rhythm, BARS)
    rhythm = rhythm.at[1].set(jnp.roll(rhythm[1], style.echo_steps))
    onset = source < rhythm ** (_CONTRAST ** (0.5 - attributes.density))

    melody = _melody(style, root, onset[0], moves[0])
    degree = _accompaniment(style, root).at[0].set(melody)
    degree = degree.at[1].set(jnp.roll(melody, style.echo_steps) + style.echo_shift)
    octave = degree // style.scale_length
    pitch = tonic + 12 * octave + style.scale[degree - octave * style.scale_length]
    low, high = style.tempo_bpm
    beat_s = 60 / (low + (high - low) * attributes.density)
    return Score(beat_s / 4, onset, pitch.astype(jnp.float32), 1 - style.dynamics * loudness)


def _melody(style: Style, root: ByStep, onset: Bool[Array, " steps"], moves: Float[Array, " steps"]) -> ByStep:
    """Compose degrees of the scale: a random walk within a range, which keeps to the chord on beats."""
    u = jnp.clip(moves, 0.02, 0.98)
    # The logarithm of the odds has a standard deviation of pi / sqrt(3).
    steps = jnp.round(style.leap * (np.sqrt(3) / np.pi) * jnp.log(u / (1 - u))).astype(int)
    walk = jnp.cumsum(jnp.where(onset, steps, 0)) + _RANGE // 2
    degree = style.voices.lowest[0] + _RANGE - jnp.abs(walk % (2 * _RANGE) - _RANGE)
    half = style.scale_length // 2
    away = (root[None] + style.chord[:, None] - degree[None] + half) % style.scale_length - half
    nearest = jnp.take_along_axis(away, jnp.abs(away).argmin(axis=0, keepdims=True), axis=0)[0]
    return degree + jnp.where(_ON_BEAT & (style.consonant == 1), nearest, 0)


def _accompaniment(style: Style, root: ByStep) -> Degrees:
    """Convert the figures of all voices from degrees of the chord at each step to degrees of the scale."""
    figure, lowest = style.voices.figure[:, _IN_BAR], style.voices.lowest[:, None]
    above_root = style.chord[figure % 3] + style.scale_length * (figure // 3)
    # The root lies in the octave that begins at the lowest degree.
    return lowest + (root[None] - lowest) % style.scale_length + above_root
