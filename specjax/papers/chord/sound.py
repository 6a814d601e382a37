"""Synthesis of sound from a chord spectrogram (chord paper, section 5).

Row r of the spectrogram is the amplitude over time of a sine with a random phase. Its frequency is r Hz plus an offset.
With the paper's "direct mapping", rows that belong to the chord sound at the chord's exact frequencies instead. The
chord is decoded from the spectrogram itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from specjax.papers.chord import metrics, theory
from specjax.signal import oscillators


@dataclass(frozen=True)
class SoundConfig:
    """Settings of the sound synthesis.

    sample_rate: sample rate in Hz, 1000 to 384000.
    duration_s: length of the sound in seconds, above 0 and at most 600.
    octave: number of octaves by which every frequency is raised, -2 to 8. At 0, the lowest chord starts at about 28 Hz,
      below the range of most loudspeakers.
    exact: whether rows near a partial of the chord (at most 6 rows away) sound at the exact frequency of the partial.
    offset_hz: offset in Hz for rows that do not sound at an exact frequency. Such a row r sounds at `r + offset_hz` Hz,
      raised by `octave` octaves.
    seed: seed of the random initial phases of the sines.
    """

    sample_rate: int = 44100
    duration_s: float = 1.0
    octave: int = 0
    exact: bool = True
    offset_hz: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1000 <= self.sample_rate <= 384_000:
            raise ValueError(f"sample_rate={self.sample_rate} Hz is not between 1000 and 384000")
        if not 0 < self.duration_s <= 600:
            raise ValueError(f"duration_s={self.duration_s} is not above 0 and at most 600")
        if not -2 <= self.octave <= 8:
            raise ValueError(f"octave={self.octave} is not between -2 and 8")


class Tuning(NamedTuple):
    """Frequency and phase of every spectrogram row, for each chord.

    frequencies_hz: frequency at which each row sounds, in Hz.
    phase_row: for each row, the index of a random initial phase. Rows near the same partial have the same index, so
      they sound as one oscillator.
    """

    frequencies_hz: Float[np.ndarray, "chords size"]
    phase_row: Int[np.ndarray, "chords size"]


def tuning(
    size: int,
    labels: Iterable[int],
    qualities: tuple[str, ...],
    partials: str,
    base_hz: float,
    sound: SoundConfig,
) -> Tuning:
    """Compute the frequency and the phase of every spectrogram row, for each chord.

    Row r sounds at r Hz plus `sound.offset_hz`. With `sound.exact`, a row within 6 rows of a partial of the chord
    sounds at the exact frequency of the nearest partial instead. All frequencies are raised by `sound.octave` octaves.

    Args:
      size: number of rows.
      labels: labels of the chords.
      qualities: names of the chord qualities.
      partials: which partials belong to a chord, one of `theory.PARTIALS`.
      base_hz: fundamental frequency of label 0, in Hz.
      sound: settings of the synthesis.

    Returns:
      The tuning of every chord, ordered by label, then by quality.
    """
    factor = 2.0**sound.octave
    row_hz = (np.arange(size) + sound.offset_hz) * factor
    frequencies, phase_rows = [], []
    for label in labels:
        for quality in qualities:
            chord = theory.partials_hz(label, quality, partials, size, base_hz)
            rows, exact = np.array(list(chord)), np.array(list(chord.values()))
            distance = np.abs(np.arange(size)[:, None] - rows[None, :])
            nearest = distance.argmin(axis=1)
            belongs = (distance.min(axis=1) <= metrics.GUARD_ROWS) & sound.exact
            frequencies.append(np.where(belongs, exact[nearest] * factor, row_hz))
            phase_rows.append(np.where(belongs, rows[nearest], np.arange(size)))
    return Tuning(np.stack(frequencies), np.stack(phase_rows))


def wave(
    spectrogram: Float[Array, "size size"],
    increment: UInt32[Array, " size"],
    phase_row: Int[Array, " size"],
    sound: SoundConfig,
) -> Float[Array, " samples"]:
    """Synthesize the sound of a spectrogram, scaled to peak 1; a spectrogram of zeros gives silence.

    Args:
      spectrogram: amplitudes of the rows; clipped to [0, 1].
      increment: frequency of each row, as the phase increment per sample that `oscillators.phase_increment` returns.
      phase_row: for each row, the index of its initial phase in an array of random phases.
      sound: settings of the synthesis.
    """
    phases = jax.random.uniform(jax.random.key(sound.seed), phase_row.shape, maxval=2 * np.pi)[phase_row]
    count = round(sound.sample_rate * sound.duration_s)
    sound_wave = oscillators.additive_synthesis(jnp.clip(spectrogram, 0.0, 1.0), increment, phases, count)
    peak = jnp.max(jnp.abs(sound_wave))
    return sound_wave / jnp.where(peak > 0, peak, 1.0)
