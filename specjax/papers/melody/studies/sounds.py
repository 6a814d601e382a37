"""Metrics of the sounds of clips: level, crest factor, tempo, and the reconstruction error of mel spectrograms."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from specjax.cli.app import cache_folder
from specjax.data import beats
from specjax.papers.melody.representation import CLIP_SAMPLES, FILTERS, PRESET, SAMPLE_RATE, TRANSFORM
from specjax.papers.melody.studies.controls import Clips
from specjax.signal import inversion
from specjax.signal.inversion import Inversion, convergence_db
from specjax.signal.mel import mel_from_wave
from specjax.signal.presets import Spectrogram
from specjax.signal.short_time_fourier import magnitude

CLIPS = 2  # clips of each genre that are inverted; few, because inversion is slow
INVERSION = Inversion(mel_steps=0)
TEMPO_TOLERANCE = 0.04
_SILENCE = 1e-10

Wave = Float[np.ndarray, " samples"]


def measure_sounds(clips: Clips, tempo_bpm: float) -> dict[str, list[float]]:
    """Invert a few clips of each genre, and measure their sounds.

    Args:
      clips: mel power of the clips.
      tempo_bpm: tempo that all clips should have; 0 if there is no common tempo.

    Returns:
      `rms_db` and `crest_db` (ratio of the peak to the root mean square) of every sound, and, with a tempo, `octaves`:
      log2 of the ratio of the tracked tempo to `tempo_bpm`; nan if no beats are found.
    """
    chosen = np.linspace(0, clips.shape[1] - 1, min(CLIPS, clips.shape[1])).round().astype(int)
    waves = [wave for genre in clips for wave in _invert(genre[chosen])]
    levels = [_measure_level(wave) for wave in waves]
    measured = {"rms_db": [rms for rms, _ in levels], "crest_db": [crest for _, crest in levels]}
    return measured | ({"octaves": [_tempo_error(wave, tempo_bpm) for wave in waves]} if tempo_bpm else {})


def measure_floor(waves: list[Wave]) -> dict[str, list[float]]:
    """Measure the reconstruction error of mel inversion on the first 10 s of recordings.

    Args:
      waves: recordings of at least 10 s at `SAMPLE_RATE`.

    Returns:
      For each of them `linear_db` and `mel_db`, the spectral convergence of the magnitudes in dB, and `rms_db` and
      `crest_db`, the changes of level and crest factor.
    """
    measured: dict[str, list[float]] = {"linear_db": [], "mel_db": [], "rms_db": [], "crest_db": []}
    for wave in waves:
        before = jnp.asarray(wave[:CLIP_SAMPLES], jnp.float32)
        mel = mel_from_wave(before, TRANSFORM, FILTERS)
        after = jnp.asarray(_invert(np.asarray(mel)[None])[0])
        again = mel_from_wave(after, TRANSFORM, FILTERS)
        linear_db = convergence_db(magnitude(after, TRANSFORM), magnitude(before, TRANSFORM))
        measured["linear_db"].append(float(linear_db))
        measured["mel_db"].append(float(convergence_db(jnp.sqrt(again), jnp.sqrt(mel))))
        for name, new, old in zip(
            ("rms_db", "crest_db"), _measure_level(np.asarray(after)), _measure_level(np.asarray(before)), strict=True
        ):
            measured[name].append(new - old)
    return measured


def count_in_tempo(octaves: list[float]) -> tuple[int, int]:
    """Count the sounds in tempo, and those in half or twice the tempo, both within 4%.

    Args:
      octaves: see `measure_sounds`.
    """
    error = np.abs(np.array(octaves))
    tolerance = np.log2(1 + TEMPO_TOLERANCE)
    return int(np.sum(error <= tolerance)), int(np.sum(np.abs(error - 1) <= tolerance))


def _invert(mel_power: Float32[np.ndarray, "clips mels frames"]) -> Float[np.ndarray, "clips samples"]:
    spectrogram = Spectrogram(jnp.asarray(mel_power), PRESET)
    return np.asarray(inversion.to_wave(spectrogram, INVERSION, length=CLIP_SAMPLES))


def _measure_level(wave: Wave) -> tuple[float, float]:
    """Return the root mean square and the crest factor of a wave, in dB."""
    rms, peak = float(np.sqrt(np.mean(wave**2))), float(np.abs(wave).max())
    return 20 * np.log10(rms + _SILENCE), 20 * np.log10((peak + _SILENCE) / (rms + _SILENCE))


def _tempo_error(wave: Wave, tempo_bpm: float) -> float:
    measured_bpm = beats.steady_tempo_bpm(beats.track(wave, SAMPLE_RATE, cache_folder("beats")))
    return float(np.log2(measured_bpm / tempo_bpm)) if measured_bpm else float("nan")
