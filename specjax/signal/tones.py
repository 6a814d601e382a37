"""Tones of musical instruments, in closed form.

A tone is a sum of harmonics whose amplitudes fall exponentially with frequency, at first and again with the age of the
tone. Such a sum is a geometric series with a closed form, so the cost of a tone does not depend on the number of its
harmonics (Moorer 1976, "The Synthesis of Complex Audio Spectra by Means of Discrete Summation Formulas").
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Samples = Float[Array, " samples"]
Number = Any  # a float in tables of instruments, an array in computations

_GLIDE_S = 0.05  # time constant of the glide into a note
_VIBRATO_HZ = 5.5
_FADE_IN_S = 0.3  # of the vibrato


class Instrument(NamedTuple):
    """Timbre of a pitched instrument.

    Attributes:
      bright_hz: a harmonic of frequency f begins with the amplitude `exp(-f / bright_hz)`.
      damping_hz: after t seconds, it has lost a further factor of `exp(f t / damping_hz)`.
      even: amplitude of even harmonics relative to that of odd ones: 1 for a string, 0 for a closed pipe.
      attack_s: time in which a tone rises.
      decay: after t seconds, the whole tone has lost a further factor of `exp(decay * t)`.
      release_s: time in which a tone falls silent at its end.
      drive: distortion: the sum of all voices of the part is multiplied by this and clipped softly; 0 for none.
      vibrato_cents: depth of the vibrato, in cents (hundredths of a semitone).
      glide: semitones from which the pitch of a tone glides to that of its note.
      detune_cents: distance of two copies of the instrument that play in unison, in cents.
    """

    bright_hz: Number
    damping_hz: Number = 1e6
    even: Number = 1.0
    attack_s: Number = 0.004
    decay: Number = 0.0
    release_s: Number = 0.03
    drive: Number = 0.0
    vibrato_cents: Number = 0.0
    glide: Number = 0.0
    detune_cents: Number = 1.0


def synthesize_tone(
    age: Int[Array, " samples"], hz: Samples, left_s: Samples, instrument: Instrument, sample_rate: int
) -> Samples:
    """Synthesize tones, each sample by itself.

    Args:
      age: number of samples since the tone began; the result is 0 where it is negative.
      hz: frequency of the tone.
      left_s: time in seconds until the tone ends.
      instrument: timbre; all attributes are numbers.
      sample_rate: in Hz.

    Returns:
      Waves whose root mean square is 1 to 1.5 after the attack, before they decay.
    """
    age_s = jnp.maximum(age, 0).astype(jnp.float32) / sample_rate
    rise = jnp.clip(age_s / instrument.attack_s, 0.0, 1.0)
    fall = jnp.clip(left_s / instrument.release_s, 0.0, 1.0)
    envelope = jnp.where(age < 0, 0.0, rise * fall * jnp.exp(-instrument.decay * age_s))
    # Partials above half the sample rate alias, so they must be weak.
    ratio = jnp.exp(-hz / jnp.minimum(instrument.bright_hz, sample_rate / 8))
    ratio = jnp.maximum(ratio, 1e-3)  # its fourth power must not underflow
    odd, even = ratio**2 / (1 - ratio**4), instrument.even**2 * ratio**4 / (1 - ratio**4)
    damped = ratio * jnp.exp(-hz / instrument.damping_hz * age_s)
    turns = _bend_s(age_s, instrument) * hz
    detune = 2.0 ** (instrument.detune_cents / 2400)
    copies = [
        _harmonics(_turns(age, hz * x, sample_rate) + turns, damped, instrument.even) for x in (1 / detune, detune)
    ]
    return envelope * (copies[0] + copies[1]) / jnp.sqrt(odd + even)


def _turns(age: Int[Array, " samples"], hz: Samples, sample_rate: int) -> Samples:
    """Compute the phase in turns (of 2 pi radians), between -0.5 and 0.5."""
    # Unsigned fractions of a turn wrap exactly, however long the tone.
    increment = (hz * (2.0**32 / sample_rate)).astype(jnp.uint32)
    return (age.astype(jnp.uint32) * increment).astype(jnp.int32).astype(jnp.float32) * 2.0**-32


def _bend_s(age_s: Samples, instrument: Instrument) -> Samples:
    """Compute the integral of the relative change of pitch over the age of the tone, by vibrato and glide."""
    rate = 2 * np.pi * _VIBRATO_HZ
    depth = np.log(2) / 1200 * instrument.vibrato_cents * jnp.minimum(age_s / _FADE_IN_S, 1.0)
    glide = 2.0 ** (instrument.glide / 12) - 1
    return depth / rate * jnp.sin(rate * age_s) + glide * _GLIDE_S * (1 - jnp.exp(-age_s / _GLIDE_S))


def _harmonics(turns: Samples, ratio: Samples, even: Number) -> Samples:
    """Compute the sum of `ratio^k sin(2 pi k turns)` over all k from 1, with even terms multiplied by `even`."""
    # With z = ratio * exp(2 pi i turns), the sum is the imaginary part of (z + even * z^2) / (1 - z^2).
    x, y = ratio * jnp.cos(2 * np.pi * turns), ratio * jnp.sin(2 * np.pi * turns)
    square_x, square_y = x * x - y * y, 2 * x * y
    above_x, above_y = x + even * square_x, y + even * square_y
    return (above_y * (1 - square_x) + above_x * square_y) / ((1 - square_x) ** 2 + square_y**2)
