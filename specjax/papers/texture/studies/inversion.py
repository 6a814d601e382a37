"""How near every inversion method comes, on sounds given: spectral convergence and time, beside librosa's."""

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
from specjax.engine.study import interval
from specjax.signal.inversion import Inversion, convergence_db, invert
from specjax.signal.stft import Stft, magnitude

SAMPLE_RATE = 22050
DURATION_S = 5.0
LIBROSA = "librosa's Griffin-Lim, 32"

_AUDIBLE = 1e-3  # of the greatest sample: what lies below that before a sound begins is silence

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
    "PGHI + fast Griffin-Lim, 32": Inversion("fast_griffin_lim"),
    "PGHI + L-BFGS, 32": Inversion("refine"),
}
TRANSFORMS = {
    "Hann, redundancy 4": Stft(1024, 256),
    "Hann, redundancy 8": Stft(1024, 128),
    # A window whose extents in time and in frequency are sampled equally densely: .1705 876^2 = 64 * 2048.
    "Gauss, redundancy 32": Stft(2048, 64, "gauss", 876),
}


class Reached(NamedTuple):
    """Of one method on one clip: spectral convergence in dB, and seconds of work for a second of sound."""

    convergence_db: float
    real_time_factor: float


def clips(places: Sequence[Path]) -> dict[str, Wave]:
    """The first seconds of sound files, or of those in folders, from where they sound; shorter ones end in silence.

    Files that their gate refuses are left out, and told of.

    Raises:
      UserError: a folder is refused by its gate, or every file.
    """
    paths = [path for place in places for path in (audio_files(place) if place.is_dir() else [place])]
    samples = round(DURATION_S * SAMPLE_RATE)
    found: dict[str, Wave] = {}
    for path in paths:
        try:
            wave, _ = audio.read_audio(path, SAMPLE_RATE)
        except UserError as refusal:
            _log.warning("left out: %s", refusal)
            continue
        sounds = np.abs(wave) > _AUDIBLE * np.abs(wave).max()
        found[str(path)] = audio.fit_length(wave[sounds.argmax() :], samples, short="pad")
    if not found:
        raise UserError(f"none of {len(paths)} sound files can be used: see above")
    return found


def compare(sounds: Mapping[str, Wave], report: Callable[[str], None]) -> dict[str, dict[str, list[Reached]]]:
    """Every method under every transform on every sound."""
    results: dict[str, dict[str, list[Reached]]] = {name: {} for name in TRANSFORMS}
    for setting, transform in TRANSFORMS.items():
        for name, how in METHODS.items():
            report(f"{setting}: {name}")
            attempt = _theirs(transform) if how is None else _ours(how, transform)
            waves = [jnp.asarray(wave) for wave in sounds.values()]
            _reached(attempt, waves[0], transform)  # compiles
            results[setting][name] = [_reached(attempt, wave, transform) for wave in waves]
    return results


def table(results: Mapping[str, Mapping[str, Sequence[Reached]]]) -> str:
    """Markdown: means over the sounds with 95% intervals, in dB; between brackets the median part of real time."""
    settings = list(results)
    lines = ["| | " + " | ".join(settings) + " |", "|---|" + "--:|" * len(settings)]
    for name in METHODS:
        cells = []
        for setting in settings:
            reached = results[setting][name]
            levels = interval([r.convergence_db for r in reached], "{:.1f}")
            cells.append(f"{levels} ({np.median([r.real_time_factor for r in reached]):.3f})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


Attempt = Callable[[Float[jax.Array, "bins frames"], int], Float[jax.Array, " samples"]]


def _reached(attempt: Attempt, wave: Float[jax.Array, " samples"], transform: Stft) -> Reached:
    wanted = _magnitude(wave, transform)
    begin = time.perf_counter()
    found = jax.block_until_ready(attempt(wanted, len(wave)))
    seconds = time.perf_counter() - begin
    near = convergence_db(_magnitude(found, transform), wanted)
    return Reached(float(near), seconds / DURATION_S)


def _ours(how: Inversion, transform: Stft) -> Attempt:
    return lambda wanted, length: invert(wanted, transform, how, length=length)


def _theirs(transform: Stft) -> Attempt:
    import librosa

    def attempt(wanted: Float[jax.Array, "bins frames"], length: int) -> Float[jax.Array, " samples"]:
        found = librosa.griffinlim(
            np.asarray(wanted), n_iter=32, hop_length=transform.hop_length, n_fft=transform.n_fft,
            window=transform.taper(), length=length,
        )  # fmt: skip
        return jnp.asarray(found)

    return attempt


_magnitude = jax.jit(magnitude, static_argnums=1)


def check(places: Sequence[str]) -> list[Path]:
    """
    Raises:
      UserError: nothing is named, or something that is not there.
    """
    if not places:
        raise UserError("--sounds is missing: name sound files, or folders of them")
    if missing := [place for place in places if not Path(place).exists()]:
        raise UserError(f"--sounds={missing[0]} does not exist")
    return [Path(place) for place in places]
