"""How near a sound comes that is made again of its mel spectrogram, and how much of it the spectrogram fixes."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.engine.study import interval
from specjax.signal.inversion import Inversion, convergence_db, to_wave
from specjax.signal.mel import mel_filters, mel_from_wave
from specjax.signal.presets import PRESETS, Preset, spectrogram
from specjax.signal.stft import magnitude
from specjax.signal.unmel import mel_to_power

CONVENTIONS = ("melodygan", "mvnet")
FLOOR = "magnitudes of the bins alone, no sound"
METHODS: Mapping[str, Inversion | None] = {
    FLOOR: None,
    "PGHI + fast Griffin-Lim, 32": Inversion(mel_steps=0),
    "the same + 50 L-BFGS steps on the mel spectrogram": Inversion(),
    "100 + 100": Inversion(iterations=100, mel_steps=100),
}

Wave = Float[np.ndarray, " samples"]


class Reached(NamedTuple):
    """Spectral convergence, in dB, to the magnitudes of the sound itself, and to its mel magnitudes."""

    linear_db: float
    mel_db: float


def compare(sounds: Mapping[str, Wave], report: Callable[[str], None]) -> dict[str, dict[str, list[Reached]]]:
    """Every method, by convention, on every sound."""
    results: dict[str, dict[str, list[Reached]]] = {}
    for convention in CONVENTIONS:
        results[convention] = {}
        for name, how in METHODS.items():
            report(f"{convention}: {name}")
            preset = PRESETS[convention]
            results[convention][name] = [_reached(jnp.asarray(wave), preset, how) for wave in sounds.values()]
    return results


def table(results: Mapping[str, Mapping[str, Sequence[Reached]]]) -> str:
    """Markdown: means over the sounds in dB, with 95% intervals."""
    headings = [f"{convention}, {what}" for convention in results for what in ("linear", "mel")]
    lines = ["| | " + " | ".join(headings) + " |", "|---|" + "--:|" * len(headings)]
    for name in METHODS:
        values = [[getattr(r, field) for r in found[name]] for found in results.values() for field in Reached._fields]
        lines.append(f"| {name} | " + " | ".join(interval(each, "{:.1f}") for each in values) + " |")
    return "\n".join(lines)


def _reached(wave: Float[jax.Array, " samples"], preset: Preset, how: Inversion | None) -> Reached:
    linear, mel = _levels(wave, preset)
    if how is None:
        power = mel_to_power(mel**2, _filters(preset))
        found = jnp.sqrt(power), jnp.sqrt(jnp.einsum("mb,bt->mt", _filters(preset), power))
    else:
        found = _levels(to_wave(spectrogram(wave, preset), how, length=len(wave)), preset)
    return Reached(float(convergence_db(found[0], linear)), float(convergence_db(found[1], mel)))


def _filters(preset: Preset) -> Float[np.ndarray, "n_mels bins"]:
    if preset.mel is None:
        raise ValueError("a preset without mel filters")
    return mel_filters(preset.mel, preset.sample_rate, preset.transform.n_fft)


def _levels(
    wave: Float[jax.Array, " samples"], preset: Preset
) -> tuple[Float[jax.Array, "bins frames"], Float[jax.Array, "n_mels frames"]]:
    return magnitude(wave, preset.transform), jnp.sqrt(mel_from_wave(wave, preset.transform, _filters(preset)))
