"""Waves of whole tracks, read from a source or synthesized, and where their clips begin."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.cli.errors import UserError
from specjax.data.audio import read_audio
from specjax.data.labeled_sounds import TFDS, open_tfds
from specjax.papers.melody import band
from specjax.papers.melody.representation import CLIP_SAMPLES, SAMPLE_RATE
from specjax.papers.melody.tracks import BUILTIN, MusicConfig, Track, example_tracks, list_tracks

MAX_TRACK_S = 3600.0
_SLACK = 0.01  # If a track is too short by up to this fraction of a hop, its last clip starts earlier.
_BLOCK = 4  # tracks that are synthesized per call

Wave = Float[np.ndarray, " samples"]
ReadWave = Callable[[], Wave]


def read_waves(config: MusicConfig, numbers: Sequence[int]) -> list[Wave]:
    """Read whole tracks at `SAMPLE_RATE`, in their own tempo.

    Args:
      config: the data set.
      numbers: indices of the tracks, as in `Music.track`.

    Raises:
      UserError: the source is missing, or a track is damaged.
    """
    return [read_wave() for _, read_wave in open_waves(config, list_tracks(config), numbers)]


def read_example(config: MusicConfig, genre: str) -> Wave:
    """Read the first 10 s, at `SAMPLE_RATE`, of the first usable held-out track of a genre.

    The tempo is not changed. If no track is held out, a training track is used.

    Raises:
      UserError: the source is missing or has another layout; it lacks the genre; no track can be used.
    """
    config = replace(config, genres=(genre,))
    tracks = list_tracks(config)
    reasons = []
    for i, read_wave in open_waves(config, tracks, example_tracks(config, tracks)):
        try:
            wave = read_wave()
        except UserError as error:
            reasons.append(str(error))
            continue
        if len(wave) >= CLIP_SAMPLES:
            return wave[:CLIP_SAMPLES]
        reasons.append(f"{tracks[i].place} is shorter than 10 s")
    raise UserError(f"no track of the genre {genre!r} can be shown: {reasons[0]}")


def open_waves(config: MusicConfig, tracks: Sequence[Track], numbers: Sequence[int]) -> Iterator[tuple[int, ReadWave]]:
    """Iterate over tracks, with functions that read their waves at `SAMPLE_RATE`.

    A function raises a `UserError` if its track is damaged.

    Args:
      config: the data set.
      tracks: all its tracks.
      numbers: indices into `tracks` of the tracks to read.

    Yields:
      The index of a track, and the function that reads its wave.
    """
    if config.source == BUILTIN:
        return _synthesize(tracks, numbers)
    if config.source.startswith(TFDS):
        opened = open_tfds(config.source)
        return ((i, partial(opened.wave, opened.examples[tracks[i].number], SAMPLE_RATE)) for i in numbers)
    return ((i, partial(_read_file, tracks[i].path)) for i in numbers)


def _read_file(path: Path) -> Wave:
    return read_audio(path, SAMPLE_RATE, max_duration_s=MAX_TRACK_S)[0]


def _synthesize(tracks: Sequence[Track], numbers: Sequence[int]) -> Iterator[tuple[int, ReadWave]]:
    genre = np.array([band.GENRES.index(tracks[i].genre) for i in numbers], np.int32)
    number = np.array([tracks[i].number for i in numbers], np.int32)
    fold_in = jax.vmap(jax.random.fold_in, (None, 0))
    for start in range(0, len(numbers), _BLOCK):
        block = np.arange(start, start + _BLOCK) % len(numbers)  # of constant size, to compile once
        keys = jax.vmap(jax.random.fold_in)(fold_in(jax.random.key(0), genre[block]), number[block])
        waves = np.asarray(band.synthesize(keys, jnp.asarray(genre[block]), SAMPLE_RATE))
        yield from zip(numbers[start : start + _BLOCK], (partial(np.asarray, wave) for wave in waves), strict=False)


def clip_starts(samples: int, length: int, hop: float) -> list[int]:
    """Return the first sample of each clip of a track; none if the track is shorter than a clip.

    Args:
      samples: length of the track in samples.
      length: length of a clip in samples.
      hop: distance between the starts of adjacent clips in samples.
    """
    last = samples - length
    return [] if last < 0 else [min(round(i * hop), last) for i in range(1 + int(last / hop + _SLACK))]


def check_length(wave: Wave, least: int, name: str) -> None:
    """Check that a track has at least `least` samples.

    Args:
      wave: the track, at `SAMPLE_RATE`.
      least: length of a clip in samples.
      name: name of the track, for the error message.

    Raises:
      UserError: it is shorter.
    """
    if len(wave) < least:
        raise UserError(
            f"{name} lasts {len(wave) / SAMPLE_RATE:.1f} s, expected at least {least / SAMPLE_RATE:.1f}: use longer "
            "tracks, or remove it"
        )
