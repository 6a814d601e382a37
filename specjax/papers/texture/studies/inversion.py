"""Study that compares all inversion methods, and the Griffin-Lim of librosa, by spectral convergence and speed."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.cli.errors import UserError
from specjax.data import audio
from specjax.data.clips import audio_files
from specjax.measure.intervals import format_interval
from specjax.signal.inversion import Inversion, convergence_db, invert
from specjax.signal.short_time_fourier import Stft, magnitude

SAMPLE_RATE = 22050
DURATION_S = 5.0
LIBROSA = "librosa's Griffin-Lim, 32"

# A sound begins at the first sample above this fraction of its peak.
_AUDIBLE = 1e-3

_log = logging.getLogger("specjax")

Wave = Float[np.ndarray, " samples"]

METHODS: Mapping[str, Inversion | None] = {
    "SPSI": Inversion("spsi"),
    "RTISI-LA, 3 frames ahead": Inversion("rtisi_la"),
    "RTPGHI": Inversion("rtpghi"),
    "PGHI": Inversion("pghi"),
    "Griffin-Lim, 32": Inversion("griffin_lim", ("random",)),
    "fast Griffin-Lim, 32": Inversion("fast_griffin_lim", ("random",)),
    LIBROSA: None,
    "PGHI + fast Griffin-Lim, 32": Inversion("fast_griffin_lim", iterations=32),
    "PGHI + accelerated Griffin-Lim, 32": Inversion("accelerated_griffin_lim", iterations=32),
    "PGHI + ADMM, 32": Inversion("admm", iterations=32),
    "PGHI + L-BFGS, 32": Inversion("refine", iterations=32),
    "default: PGHI + subset Griffin-Lim": Inversion(),
}
TRANSFORMS = {
    "Hann, redundancy 4": Stft(1024, 256),
    "Hann, redundancy 8": Stft(1024, 128),
    # With hop * n_fft = 64 * 2048 close to 0.1705 * 876^2 (gamma of PGHI), the Gaussian is sampled equally densely,
    # relative to its extent, in time and in frequency.
    "Gauss, redundancy 32": Stft(2048, 64, "gauss", 876),
}


class Score(NamedTuple):
    """Result of one inversion method on one clip.

    Attributes:
      convergence_db: spectral convergence in dB; lower is better.
      real_time_factor: processing time divided by the duration of the clip.
    """

    convergence_db: float
    real_time_factor: float


def load_clips(paths: Sequence[Path], duration_s: float = DURATION_S) -> dict[str, Wave]:
    """Load a clip of `duration_s` seconds from each sound file, without leading silence, at `SAMPLE_RATE`.

    Shorter sounds are padded with silence at the end. Invalid files are skipped with a warning.

    Args:
      paths: sound files, or folders of sound files.
      duration_s: duration of each clip in seconds.

    Returns:
      Waves of equal length, by path.

    Raises:
      UserError: a folder cannot be read or contains no sound files, or all sound files are invalid.
    """
    files = [file for path in paths for file in (audio_files(path) if path.is_dir() else [path])]
    samples = round(duration_s * SAMPLE_RATE)
    clips: dict[str, Wave] = {}
    for file in files:
        try:
            wave, _ = audio.read_audio(file, SAMPLE_RATE)
        except UserError as error:
            _log.warning("skipped: %s", error)
            continue
        audible = np.abs(wave) > _AUDIBLE * np.abs(wave).max()
        clips[str(file)] = audio.fit_length(wave[audible.argmax() :], samples, short="pad")
    if not clips:
        raise UserError(f"none of {len(files)} sound files can be used: see the warnings above")
    return clips


def compare(sounds: Mapping[str, Wave], report: Callable[[str], None]) -> dict[str, dict[str, list[Score]]]:
    """Run every inversion method in `METHODS` with every STFT in `TRANSFORMS` on every sound.

    Args:
      sounds: waves by name.
      report: progress callback, called with a line of text before each method.

    Returns:
      Scores in the order of `sounds`, as `result[transform][method]`.
    """
    results: dict[str, dict[str, list[Score]]] = {name: {} for name in TRANSFORMS}
    for transform_name, transform in TRANSFORMS.items():
        for method_name, settings in METHODS.items():
            report(f"{transform_name}: {method_name}")
            inverter = _make_librosa_inverter(transform) if settings is None else _make_inverter(settings, transform)
            waves = [jnp.asarray(wave) for wave in sounds.values()]
            _evaluate(inverter, waves[0], transform)  # The first call compiles, so its time is discarded.
            results[transform_name][method_name] = [_evaluate(inverter, wave, transform) for wave in waves]
    return results


def format_table(results: Mapping[str, Mapping[str, Sequence[Score]]]) -> str:
    """Format the results of `compare` as a Markdown table with one line per method and one column per transform.

    A cell shows the mean spectral convergence in dB over the sounds, with its 95% confidence interval. The median
    real-time factor follows in parentheses.
    """
    transforms = list(results)
    lines = ["| | " + " | ".join(transforms) + " |", "|---|" + "--:|" * len(transforms)]
    for name in METHODS:
        cells = []
        for transform in transforms:
            scores = results[transform][name]
            levels = format_interval([score.convergence_db for score in scores], "{:.1f}")
            cells.append(f"{levels} ({np.median([score.real_time_factor for score in scores]):.3f})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


# Function that takes magnitudes and a length in samples, and returns a wave.
Inverter = Callable[[Float[jax.Array, "bins frames"], int], Float[jax.Array, " samples"]]


def _evaluate(inverter: Inverter, wave: Float[jax.Array, " samples"], transform: Stft) -> Score:
    """Reconstruct a wave from its STFT magnitudes, and measure spectral convergence and processing time."""
    target = _magnitude(wave, transform)
    begin = time.perf_counter()
    result = jax.block_until_ready(inverter(target, len(wave)))
    seconds = time.perf_counter() - begin
    level_db = convergence_db(_magnitude(result, transform), target)
    return Score(float(level_db), seconds / DURATION_S)


def _make_inverter(settings: Inversion, transform: Stft) -> Inverter:
    return lambda target, length: invert(target, transform, settings, length=length)


def _make_librosa_inverter(transform: Stft) -> Inverter:
    import librosa

    def run_griffin_lim(target: Float[jax.Array, "bins frames"], length: int) -> Float[jax.Array, " samples"]:
        wave = librosa.griffinlim(
            np.asarray(target), n_iter=32, hop_length=transform.hop_length, n_fft=transform.n_fft,
            window=transform.taper(), length=length,
        )  # fmt: skip
        return jnp.asarray(wave)

    return run_griffin_lim


_magnitude = jax.jit(magnitude, static_argnums=1)


def check_sounds(sounds: Sequence[str]) -> list[Path]:
    """Convert the values of the option `--sounds` to paths.

    Raises:
      UserError: there are no values, or a path does not exist.
    """
    if not sounds:
        raise UserError("--sounds is missing: name sound files, or folders of them")
    if missing := [path for path in sounds if not Path(path).exists()]:
        raise UserError(f"--sounds={missing[0]} does not exist: name sound files, or folders of them")
    return [Path(path) for path in sounds]
