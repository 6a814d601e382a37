"""Measures of predicted chords: each held-out digit's spectrogram against its noise-free target and its notes."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.engine.task import Metrics
from specjax.image.similarity import ms_ssim
from specjax.papers.chord import conditioning, metrics, theory
from specjax.papers.chord import sound as sounds
from specjax.papers.chord.inference import ChordInference
from specjax.signal import oscillators

# Pitch is measured on a slowed-down sound: within one second, notes 6 Hz apart are not resolved.
PITCH_SOUND = sounds.SoundConfig(sample_rate=4032, duration_s=8.0)


class _Tables(NamedTuple):
    """What the metrics look up, by chord (label * qualities + quality); unused places are -1."""

    partials: Int[np.ndarray, "chords most_partials"]
    notes: Int[np.ndarray, "chords most_notes"]
    exact_hz: Float[np.ndarray, "chords most_notes"]
    increments: np.ndarray
    phase_rows: Int[np.ndarray, "chords size"]


@dataclass(frozen=True)
class Evaluation:
    """Measures the predictions of one network configuration."""

    inference: ChordInference

    @cached_property
    def _tables(self) -> _Tables:
        c = self.inference.config
        labels = range(self.inference.operators.spread.shape[0])
        chords = [(label, quality) for label in labels for quality in c.qualities]
        of = c.conditioning
        partials = [theory.partial_rows(y, q, of.partials, of.size, of.base_hz) for y, q in chords]
        sound = sounds.SoundConfig(exact=c.sound.exact)
        tuning = sounds.tuning(of.size, labels, c.qualities, of.partials, of.base_hz, sound)
        return _Tables(
            partials=_pad_rows(partials).astype(np.int32),
            notes=_pad_rows([theory.chord_rows(y, q, of.base_hz) for y, q in chords]).astype(np.int32),
            exact_hz=_pad_rows([theory.exact_frequencies_hz(y, q, of.base_hz) for y, q in chords]).astype(np.float32),
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
        """Every metric of one prediction (see `metrics` for their definitions)."""
        config, operators = self.inference.config, self.inference.operators
        reference = conditioning.target(operators, config.conditioning, digit, label, quality, None)
        tables = jax.tree.map(jnp.asarray, self._tables)
        chord = label * len(config.qualities) + quality
        partials, notes = tables.partials[chord], tables.notes[chord]
        profile = metrics.row_profile(prediction)
        decoded_label, decoded_quality = metrics.decode_chord(profile, jnp.asarray(self.inference.templates))
        decoded = decoded_label * len(config.qualities) + decoded_quality
        wave = sounds.wave(prediction, tables.increments[decoded], tables.phase_rows[decoded], PITCH_SOUND)
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
    """Rows of unequal length as one array, padded with -1."""
    full = np.full((len(rows), max(map(len, rows))), -1.0)
    for i, row in enumerate(rows):
        full[i, : len(row)] = row
    return full
