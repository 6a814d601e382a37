"""Tempo and beat tracking with librosa on the host, with a cache on disk."""

import hashlib
import io
import logging
import zipfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from specjax.cli.files import write_atomic

_log = logging.getLogger("specjax")


class Beats(NamedTuple):
    """Result of beat tracking.

    Attributes:
      tempo_bpm: tempo in beats per minute; 0 if there are no beats.
      beat_s: time of each beat, in seconds.
    """

    tempo_bpm: float
    beat_s: Float[np.ndarray, " beats"]


def track(wave: Float[np.ndarray, " samples"], sample_rate: int, cache: Path | None = None) -> Beats:
    """Estimate the tempo and the beat times of a wave with `librosa.beat.beat_track` (Ellis 2007).

    Args:
      wave: mono wave.
      sample_rate: sample rate of the wave, in Hz.
      cache: folder for cached results; None disables the cache. Each result is a file whose name is a hash of the
        wave and its sample rate.
    """
    digest = hashlib.sha256(f"{sample_rate} {wave.dtype}".encode() + np.ascontiguousarray(wave).data).hexdigest()
    entry = None if cache is None else cache / f"{digest}.npz"
    if entry is not None and (cached := _read_cache(entry)) is not None:
        return cached
    import librosa

    tempo, beats = librosa.beat.beat_track(y=wave, sr=sample_rate, units="time")
    result = Beats(float(np.ravel(tempo)[0]), np.asarray(beats, np.float32))
    if entry is not None:
        _write_cache(entry, result)
    return result


def steady_tempo_bpm(beats: Beats) -> float:
    """Compute the mean tempo of a track of steady tempo from its beat times, in beats per minute.

    It is more exact than `Beats.tempo_bpm`, which knows only intervals of whole frames (117.5 and 123.0 BPM, but not
    120). The result is the median over spans of half of the track, so that a few missing or additional beats change it
    little. It is 0 if there are fewer than 2 beats.
    """
    span = len(beats.beat_s) // 2
    if not span:
        return 0.0
    return 60.0 * span / float(np.median(beats.beat_s[span:] - beats.beat_s[:-span]))


def _read_cache(path: Path) -> Beats | None:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Beats(float(arrays["tempo_bpm"]), arrays["beat_s"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # A missing or damaged entry is computed again.


def _write_cache(path: Path, result: Beats) -> None:
    encoded = io.BytesIO()
    np.savez(encoded, tempo_bpm=np.float32(result.tempo_bpm), beat_s=result.beat_s)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(path, encoded.getvalue())
    except OSError as error:
        _warn_once(path.parent, error.strerror)


@cache
def _warn_once(folder: Path, reason: str | None) -> None:
    _log.warning("beats are not cached: %s cannot be written (%s)", folder, reason)
