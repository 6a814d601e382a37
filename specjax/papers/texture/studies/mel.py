"""Study that measures how close sounds reconstructed from mel spectrograms are to the original sounds.

The error is measured in the magnitudes of the STFT (linear frequency) and in mel magnitudes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.measure.intervals import format_interval
from specjax.signal.inversion import Inversion, convergence_db, to_wave
from specjax.signal.mel import mel_filters, mel_from_wave
from specjax.signal.presets import PRESETS, Preset, spectrogram
from specjax.signal.short_time_fourier import magnitude
from specjax.signal.unmel import mel_to_power

CONVENTIONS = ("melodygan", "mvnet")
# This method estimates the STFT magnitudes but no sound. Its error shows how well a mel spectrogram determines them.
MAGNITUDES_ONLY = "magnitudes of the bins alone, no sound"
METHODS: Mapping[str, Inversion | None] = {
    MAGNITUDES_ONLY: None,
    "PGHI + subset Griffin-Lim": Inversion(mel_steps=0),
    "the same + 50 L-BFGS steps on the mel spectrogram": Inversion(),
    "100 + 100": Inversion(iterations=100, mel_steps=100),
}

Wave = Float[np.ndarray, " samples"]


class Score(NamedTuple):
    """Spectral convergence in dB of one reconstructed sound to the original; lower is better.

    Attributes:
      linear_db: convergence of the STFT magnitudes.
      mel_db: convergence of the mel magnitudes.
    """

    linear_db: float
    mel_db: float


def compare(sounds: Mapping[str, Wave], report: Callable[[str], None]) -> dict[str, dict[str, list[Score]]]:
    """Reconstruct every sound from its mel spectrogram, with every method in `METHODS`.

    This is done for each of the mel spectrogram presets named in `CONVENTIONS`.

    Args:
      sounds: waves by name.
      report: progress callback, called with a line of text before each method.

    Returns:
      Scores in the order of `sounds`, as `result[convention][method]`.
    """
    results: dict[str, dict[str, list[Score]]] = {}
    for convention in CONVENTIONS:
        results[convention] = {}
        for name, settings in METHODS.items():
            report(f"{convention}: {name}")
            preset = PRESETS[convention]
            results[convention][name] = [_evaluate(jnp.asarray(wave), preset, settings) for wave in sounds.values()]
    return results


def format_table(results: Mapping[str, Mapping[str, Sequence[Score]]]) -> str:
    """Format the results of `compare` as a Markdown table with one line per method.

    Cells are means in dB over the sounds, with 95% confidence intervals.
    """
    headings = [f"{convention}, {scale}" for convention in results for scale in ("linear", "mel")]
    lines = ["| | " + " | ".join(headings) + " |", "|---|" + "--:|" * len(headings)]
    for name in METHODS:
        columns = [
            [getattr(score, field) for score in scores[name]] for scores in results.values() for field in Score._fields
        ]
        lines.append(f"| {name} | " + " | ".join(format_interval(values, "{:.1f}") for values in columns) + " |")
    return "\n".join(lines)


def _evaluate(wave: Float[jax.Array, " samples"], preset: Preset, settings: Inversion | None) -> Score:
    """Compute the mel spectrogram of a wave, reconstruct the wave from it, and compare the result with the original.

    If `settings` is None, no wave is reconstructed. The STFT magnitudes are estimated from the mel spectrogram, and
    these are compared with the original ones.
    """
    linear, mel = _compute_magnitudes(wave, preset)
    if settings is None:
        power = mel_to_power(mel**2, _filters(preset))
        result = jnp.sqrt(power), jnp.sqrt(jnp.einsum("mb,bt->mt", _filters(preset), power))
    else:
        result = _compute_magnitudes(to_wave(spectrogram(wave, preset), settings, length=len(wave)), preset)
    return Score(float(convergence_db(result[0], linear)), float(convergence_db(result[1], mel)))


def _filters(preset: Preset) -> Float[np.ndarray, "n_mels bins"]:
    if preset.mel is None:
        raise ValueError("preset has no mel filters, expected a mel preset: choose melodygan or mvnet")
    return mel_filters(preset.mel, preset.sample_rate, preset.transform.n_fft)


def _compute_magnitudes(
    wave: Float[jax.Array, " samples"], preset: Preset
) -> tuple[Float[jax.Array, "bins frames"], Float[jax.Array, "n_mels frames"]]:
    """Compute the STFT magnitudes and the mel magnitudes of a wave.

    Mel magnitudes are the square roots of the mel power spectrogram: the mel filters are applied to the squared STFT
    magnitudes.
    """
    return magnitude(wave, preset.transform), jnp.sqrt(mel_from_wave(wave, preset.transform, _filters(preset)))
