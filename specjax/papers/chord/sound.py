"""From a painted spectrogram to a sound (chord paper, section 5).

Row r sounds at r Hz plus an offset, each with a random phase; or, by "direct mapping", rows that belong to the
chord sound at its exact frequencies. The chord is read off the picture itself.
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
    """How a spectrogram sounds.

    octave: every frequency is raised so many octaves; digits' chords start at 28 Hz, below most loudspeakers.
    exact: sound the chord's rows at its exact ratios; otherwise at the paper's whole hertz.
    offset_hz: added to the frequency of every row that is not mapped exactly.
    seed: of the random phases.
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
    """Frequency of every row, and which rows share a phase (one oscillator spread over several rows)."""

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
    """Frequencies of the rows for each chord, numbered label by label, quality by quality.

    With `exact`, a row within 6 of a partial belongs to the nearest one and takes its frequency.
    """
    factor = 2.0**sound.octave
    plain = (np.arange(size) + sound.offset_hz) * factor
    frequencies, phase_rows = [], []
    for label in labels:
        for quality in qualities:
            chord = theory.partials_hz(label, quality, partials, size, base_hz)
            rows, exact = np.array(list(chord)), np.array(list(chord.values()))
            distance = np.abs(np.arange(size)[:, None] - rows[None, :])
            nearest = distance.argmin(axis=1)
            belongs = (distance.min(axis=1) <= metrics.GUARD_ROWS) & sound.exact
            frequencies.append(np.where(belongs, exact[nearest] * factor, plain))
            phase_rows.append(np.where(belongs, rows[nearest], np.arange(size)))
    return Tuning(np.stack(frequencies), np.stack(phase_rows))


def wave(
    picture: Float[Array, "size size"],
    increment: UInt32[Array, " size"],
    phase_row: Int[Array, " size"],
    sound: SoundConfig,
) -> Float[Array, " samples"]:
    """Sound of a spectrogram, peak 1 (silence stays silence).

    Args:
      increment: `oscillators.phase_increment` of each row's frequency.
      phase_row: row whose random phase each row uses.
    """
    phases = jax.random.uniform(jax.random.key(sound.seed), phase_row.shape, maxval=2 * np.pi)[phase_row]
    samples = round(sound.sample_rate * sound.duration_s)
    heard = oscillators.additive_synthesis(jnp.clip(picture, 0.0, 1.0), increment, phases, samples)
    peak = jnp.max(jnp.abs(heard))
    return heard / jnp.where(peak > 0, peak, 1.0)
