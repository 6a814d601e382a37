"""Random numbers of a track.

They are drawn together, because XLA compiles every generator of random numbers anew. They do not depend on the sample
rate or on the duration of the track.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from specjax.papers.melody.music.tables import BARS, STEPS_PER_BAR, select

Scalar = Float[Array, ""]
PHRASE_BARS = 4  # length of a phrase of the melody
PHRASES = 2  # different phrases of a track


class Choices(NamedTuple):
    """Random numbers in [0, 1) that each decide on one property of a track."""

    tempo: Scalar
    tonic: Scalar
    progression: Scalar
    chords: Scalar
    bass: Scalar
    melody: Scalar
    chord_register: Scalar
    melody_register: Scalar
    density: Scalar
    first_note: Scalar
    bright: Scalar
    top: Scalar
    room: Scalar
    level: Scalar
    kick: Scalar
    snare: Scalar
    hat: Scalar


class Draws(NamedTuple):
    """All random numbers of a score, in [0, 1).

    Attributes:
      choices: one number for each field of `Choices`.
      mix: decide on the levels of kick, snare, hat, bass, chords and melody.
      drums_in_track, drums_in_bar: decide which optional drum hits a track has, and which of those a bar has.
      fills: decide on the snare hits at the end of the last bar of every phrase.
      chords_in_track, chords_in_bar: decide on optional chords, as for drums.
      onsets: decide at which steps of a phrase the melody has a note.
      moves: decide how far the melody moves to that note.
      loudness, delays: decide on the loudness and lateness of the notes at each step.
    """

    choices: Float[Array, " choices"]
    mix: Float[Array, " 6"]
    drums_in_track: Float[Array, "3 1 bar_steps"]
    drums_in_bar: Float[Array, "3 bars bar_steps"]
    fills: Float[Array, "phrases_in_piece 4"]
    chords_in_track: Float[Array, "1 1 bar_steps"]
    chords_in_bar: Float[Array, "1 bars bar_steps"]
    onsets: Float[Array, "phrases phrase_steps"]
    moves: Float[Array, "phrases phrase_steps"]
    loudness: Float[Array, " steps"]
    delays: Float[Array, " steps"]


_STEPS = BARS * STEPS_PER_BAR
_SHAPES: dict[str, tuple[int, ...]] = dict(
    choices=(len(Choices._fields),),
    mix=(6,),
    drums_in_track=(3, 1, STEPS_PER_BAR),
    drums_in_bar=(3, BARS, STEPS_PER_BAR),
    fills=(BARS // PHRASE_BARS, 4),
    chords_in_track=(1, 1, STEPS_PER_BAR),
    chords_in_bar=(1, BARS, STEPS_PER_BAR),
    onsets=(PHRASES, PHRASE_BARS * STEPS_PER_BAR),
    moves=(PHRASES, PHRASE_BARS * STEPS_PER_BAR),
    loudness=(_STEPS,),
    delays=(_STEPS,),
)


def draw(key: Key[Array, ""]) -> Draws:
    """Draw the random numbers of the score of a track, given the key of the track."""
    ends = np.cumsum([int(np.prod(shape)) for shape in _SHAPES.values()])
    pieces = jnp.split(jax.random.uniform(jax.random.fold_in(key, 0), (int(ends[-1]),)), ends[:-1].tolist())
    return Draws(*(piece.reshape(shape) for piece, shape in zip(pieces, _SHAPES.values(), strict=True)))


def between(low: Any, high: Any, u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Map numbers in [0, 1) to the range from `low` to `high`."""
    return low + (high - low) * u


def choose(alternatives: Any, u: Scalar) -> Any:
    """Choose one alternative, along the first axis of every array of a pytree, by a number in [0, 1)."""
    count = len(jax.tree.leaves(alternatives)[0])
    return select(alternatives, jnp.minimum((u * count).astype(int), count - 1))
