"""Evaluation of predicted chord spectrograms against their noise-free targets and the notes of their chords."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.engine.task import Metrics
from specjax.image.similarity import ms_ssim
from specjax.papers.chord import conditioning, metrics, sound, theory
from specjax.papers.chord.inference import ChordInference
from specjax.papers.chord.sound import SoundConfig
from specjax.signal import oscillators

# Pitch is measured on a sound of 8 s, since one of 1 s does not resolve notes 6 Hz apart.
PITCH_SOUND = SoundConfig(sample_rate=4032, duration_s=8.0)


class _Tables(NamedTuple):
    """Constants of every chord that the metrics need, with one entry per chord on the first axis.

    The index of a chord is `label * len(qualities) + quality`. Chords have different numbers of partials and notes, so
    the entries of `partials`, `notes` and `exact_hz` are padded at the end with -1.

    partials: spectrogram rows of the chord's partials.
    notes: spectrogram rows of the chord's notes.
    exact_hz: exact frequencies of the chord's notes, in Hz.
    increments: argument `increment` of `sound.wave`, of shape (chords, size): the frequency of each spectrogram row, at
      the sample rate of `PITCH_SOUND`.
    phase_rows: argument `phase_row` of `sound.wave`: the index of the random initial phase of each spectrogram row.
    """

    partials: Int[np.ndarray, "chords max_partials"]
    notes: Int[np.ndarray, "chords max_notes"]
    exact_hz: Float[np.ndarray, "chords max_notes"]
    increments: np.ndarray
    phase_rows: Int[np.ndarray, "chords size"]


@dataclass(frozen=True)
class Evaluation:
    """Computes the metrics of spectrograms that a network predicted.

    inference: describes the network. Its settings determine the correct spectrogram of each digit.
    """

    inference: ChordInference

    @cached_property
    def _tables(self) -> _Tables:
        c = self.inference.config
        labels = range(self.inference.operators.spread.shape[0])
        chords = [(label, quality) for label in labels for quality in c.qualities]
        options = c.conditioning
        partials = [theory.partial_rows(y, q, options.partials, options.size, options.base_hz) for y, q in chords]
        sound_config = SoundConfig(exact=c.sound.exact)
        tuning = sound.tuning(options.size, labels, c.qualities, options.partials, options.base_hz, sound_config)
        return _Tables(
            partials=_pad_rows(partials).astype(np.int32),
            notes=_pad_rows([theory.chord_rows(y, q, options.base_hz) for y, q in chords]).astype(np.int32),
            exact_hz=_pad_rows([theory.exact_frequencies_hz(y, q, options.base_hz) for y, q in chords]).astype(
                np.float32
            ),
            increments=oscillators.phase_increment(tuning.frequencies_hz, PITCH_SOUND.sample_rate),
            phase_rows=tuning.phase_row.astype(np.int32),
        )

    def measure(
        self,
        prediction: Float[Array, "size size"],
        digit: Float[Array, "28 28"],
        label: Int[Array, ""],
        quality: Int[Array, ""],
    ) -> Metrics:
        """Compute every metric of one predicted spectrogram; the module `metrics` defines them.

        Args:
          prediction: predicted spectrogram.
          digit: image that it was predicted from, in [0, 1].
          label: label of the digit.
          quality: index of the chord quality that was asked for.

        Returns:
          Scalars by name: the metrics, and `label`.
        """
        config, operators = self.inference.config, self.inference.operators
        reference = conditioning.target(operators, config.conditioning, digit, label, quality, None)
        tables = jax.tree.map(jnp.asarray, self._tables)
        chord = label * len(config.qualities) + quality
        partials, notes = tables.partials[chord], tables.notes[chord]
        profile = metrics.row_profile(prediction)
        decoded_label, decoded_quality = metrics.decode_chord(profile, jnp.asarray(self.inference.templates))
        decoded = decoded_label * len(config.qualities) + decoded_quality
        wave = sound.wave(prediction, tables.increments[decoded], tables.phase_rows[decoded], PITCH_SOUND)
        return {
            "label": label,
            "exact_notes": metrics.exact_notes(profile, notes).astype(jnp.float32),
            "row_f1": metrics.row_f1(profile, metrics.row_profile(reference)),
            "off_chord_db": metrics.off_chord_db(prediction, partials),
            "pitch_error_cents": metrics.pitch_error_cents(wave, tables.exact_hz[chord], PITCH_SOUND.sample_rate),
            "r_squared": metrics.r_squared(prediction, reference),
            "brightest": jnp.max(prediction),
            "ms_ssim": ms_ssim(prediction, reference),
            "envelope_correlation": metrics.envelope_correlation(
                prediction, partials, digit, jnp.asarray(operators.upscale)
            ),
            "label_named": (decoded_label == label).astype(jnp.float32),
            "quality_named": (decoded_quality == quality).astype(jnp.float32),
        }


def _pad_rows(rows: list[np.ndarray]) -> np.ndarray:
    """Stack 1-D arrays of unequal length into a 2-D array, with -1 after the end of the shorter ones."""
    padded = np.full((len(rows), max(map(len, rows))), -1.0)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
