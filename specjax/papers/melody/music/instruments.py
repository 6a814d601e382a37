"""Instruments of the synthetic music: timbres of pitched instruments, and the sounds of a drum kit."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.signal.fourier import irfft, rfft
from specjax.signal.tones import Instrument

Samples = Float[Array, " samples"]
Number = Any  # a float in the table below, an array in computations

_KIT_S = 0.45  # length of the sounds of a kit
_DRUM_FALL_S = 0.02  # time constant of the falling pitch of a drum
_SHELL_HZ = 185.0  # pitch of the snare drum

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
