"""Instruments of the synthetic band: pitched sounds in closed form, and the sounds of a drum kit.

A pitched tone is a sum of harmonics whose amplitudes fall exponentially with frequency, at first and again with the age
of the tone. Such a sum is a geometric series with a closed form, so the cost of a tone does not depend on the number of
its harmonics (Moorer 1976, "The Synthesis of Complex Audio Spectra by Means of Discrete Summation Formulas").
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.arrays import safe
from specjax.signal.fourier import irfft, rfft

Samples = Float[Array, " samples"]
Number = Any  # a float in the table below, an array in computations

_GLIDE_S = 0.05  # time constant of the glide into a note
_VIBRATO_HZ = 5.5
_FADE_IN_S = 0.3  # of the vibrato
_KIT_S = 0.45  # length of the sounds of a kit
_DRUM_FALL_S = 0.02  # time constant of the falling pitch of a drum
_SHELL_HZ = 185.0  # pitch of the snare drum


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


INSTRUMENTS = {
    "piano": Instrument(900.0, 900.0, decay=0.9, release_s=0.08),
    "electric_piano": Instrument(500.0, 600.0, even=0.35, decay=0.9, release_s=0.06, detune_cents=5.0),
    "acoustic_guitar": Instrument(1700.0, 400.0, decay=1.6, release_s=0.05, detune_cents=3.0),
    "clean_guitar": Instrument(1300.0, 600.0, even=0.7, decay=1.4, detune_cents=2.0),
    "blues_guitar": Instrument(1000.0, 1500.0, decay=0.6, drive=1.2, vibrato_cents=20.0, glide=-1.0),
    "crunch_guitar": Instrument(1100.0, 2500.0, decay=0.5, drive=2.5, detune_cents=4.0),
    "metal_guitar": Instrument(2200.0, 1200.0, decay=6.0, release_s=0.02, drive=5.0, detune_cents=6.0),
    "lead_guitar": Instrument(1200.0, 4000.0, decay=0.3, drive=4.0, vibrato_cents=30.0, glide=-0.5),
    "steel_guitar": Instrument(1400.0, 900.0, decay=0.7, vibrato_cents=12.0, glide=-1.5),
    "fiddle": Instrument(1600.0, attack_s=0.04, release_s=0.05, vibrato_cents=18.0, glide=-0.4),
    "strings": Instrument(1100.0, attack_s=0.09, release_s=0.15, vibrato_cents=10.0, detune_cents=12.0),
    "cello": Instrument(600.0, attack_s=0.06, release_s=0.1, vibrato_cents=10.0, detune_cents=4.0),
    "flute": Instrument(350.0, attack_s=0.05, release_s=0.06, vibrato_cents=12.0),
    "saxophone": Instrument(1200.0, even=0.8, attack_s=0.025, release_s=0.04, vibrato_cents=15.0, glide=-0.5),
    "trumpet": Instrument(1900.0, attack_s=0.03, release_s=0.04, vibrato_cents=8.0, glide=-0.3),
    "organ": Instrument(700.0, even=0.6, attack_s=0.008, release_s=0.02, vibrato_cents=8.0, detune_cents=4.0),
    "synth_pad": Instrument(800.0, attack_s=0.12, release_s=0.2, detune_cents=16.0),
    "synth_lead": Instrument(1000.0, attack_s=0.03, release_s=0.06, vibrato_cents=25.0, glide=-1.0, detune_cents=6.0),
    "bell": Instrument(700.0, 900.0, even=0.1, decay=2.5, release_s=0.1),
    "upright_bass": Instrument(250.0, 300.0, attack_s=0.008, decay=1.8),
    "bass_guitar": Instrument(380.0, 500.0, decay=0.9),
    "pick_bass": Instrument(800.0, 900.0, decay=0.9, drive=1.0),
    "synth_bass": Instrument(600.0, 250.0, attack_s=0.003, decay=1.0, detune_cents=6.0),
    "sub_bass": Instrument(70.0, attack_s=0.006, decay=0.9, release_s=0.05, drive=0.8, glide=4.0),
}


class Kit(NamedTuple):
    """Sounds of a drum kit.

    Attributes:
      kick_hz, kick_s: pitch and decay time of the bass drum.
      snare_hz, snare_s: center of the noise band and decay time of the snare drum.
      hat_hz, hat_s: lower edge of the noise band and decay time of the cymbal.
    """

    kick_hz: Number = 55.0
    kick_s: Number = 0.12
    snare_hz: Number = 2500.0
    snare_s: Number = 0.08
    hat_hz: Number = 7000.0
    hat_s: Number = 0.03


def tone(
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


def kit_sounds(kit: Kit, noise: Samples, sample_rate: int) -> Float[Array, "3 length"]:
    """Synthesize one hit of each drum, with a peak of 1: kick, snare, hat.

    Args:
      kit: sounds of the kit; all attributes are numbers.
      noise: white noise, at least as long as the longest sound of the kit (`kit_length`).
      sample_rate: in Hz.
    """
    length = kit_length(sample_rate)
    time_s = jnp.arange(length, dtype=jnp.float32) / sample_rate
    hz = jnp.asarray(np.fft.rfftfreq(length, 1 / sample_rate), jnp.float32)
    spectrum = rfft(noise[:length])
    wires = 1 / (1 + (jnp.log2(jnp.maximum(hz, 1.0) / kit.snare_hz)) ** 4)
    metal = 1 / (1 + (kit.hat_hz / jnp.maximum(hz, 1.0)) ** 4)
    snare, hat = (_unit(irfft(spectrum * x.astype(spectrum.dtype), length)) for x in (wires, metal))
    body, shell = _drum_head(kit.kick_hz, 3.0, time_s), _drum_head(_SHELL_HZ, 0.5, time_s)
    click = 0.1 * hat * jnp.exp(-time_s / 0.004)
    sounds = [
        body * jnp.exp(-time_s / kit.kick_s) + click,
        (0.5 * snare + 0.5 * shell) * jnp.exp(-time_s / kit.snare_s),
        hat * jnp.exp(-time_s / kit.hat_s),
    ]
    ending = jnp.minimum(1.0, (length - 1 - jnp.arange(length)).astype(jnp.float32) / (0.1 * length))
    return jnp.stack([ending * sound / jnp.max(jnp.abs(sound)) for sound in sounds])


def _drum_head(hz: Number, rise: float, time_s: Samples) -> Samples:
    """Compute a sine whose pitch falls from `(1 + rise) * hz` to `hz`."""
    return jnp.sin(2 * np.pi * hz * (time_s + rise * _DRUM_FALL_S * (1 - jnp.exp(-time_s / _DRUM_FALL_S))))


def kit_length(sample_rate: int) -> int:
    """Return the length of the sounds of a kit in samples."""
    return round(_KIT_S * sample_rate)


def _unit(wave: Samples) -> Samples:
    """Scale a wave to a root mean square of 1."""
    return safe.divide(wave, safe.sqrt(jnp.mean(wave**2)))
