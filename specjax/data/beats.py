"""Tempo and beats of a wave: librosa's tracker, on the host, asked once for each wave."""

import hashlib
import io
import logging
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from specjax.cli.files import write_atomic

_log = logging.getLogger("specjax")


class Beats(NamedTuple):
    """Beats a minute, and when they fall, in seconds. A wave without any has a tempo of 0."""

    tempo_bpm: float
    beat_s: Float[np.ndarray, " beats"]


def track(wave: Float[np.ndarray, " samples"], sample_rate: int, cache: Path | None = None) -> Beats:
    """Tempo and beats (Ellis 2007). What was found is kept in the folder `cache`, by the wave's digest."""
    digest = hashlib.sha256(f"{sample_rate} {wave.dtype}".encode() + np.ascontiguousarray(wave).data).hexdigest()
    kept = None if cache is None else cache / f"{digest}.npz"
    if kept is not None and (known := _read(kept)) is not None:
        return known
    import librosa

    tempo, beats = librosa.beat.beat_track(y=wave, sr=sample_rate, units="time")
    found = Beats(float(np.ravel(tempo)[0]), np.asarray(beats, np.float32))
    if kept is not None:
        _keep(kept, found)
    return found


def _read(path: Path) -> Beats | None:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Beats(float(arrays["tempo_bpm"]), arrays["beat_s"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # not there, or damaged: it is found again


def _keep(path: Path, found: Beats) -> None:
    encoded = io.BytesIO()
    np.savez(encoded, tempo_bpm=np.float32(found.tempo_bpm), beat_s=found.beat_s)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(path, encoded.getvalue())
    except OSError as error:
        _log.warning("beats are not kept: %s cannot be written (%s)", path, error.strerror)
