"""Training and held-out clips of music of 10 s, as mel power or as waves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import Generic, TypeVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Int16

from specjax.cli.errors import UserError
from specjax.data.clips import check_memory
from specjax.data.skipping import SkippedFiles, log_progress
from specjax.papers.melody.mel_clips import Music, cut_mel, mel_peaks
from specjax.papers.melody.recordings import Wave, open_waves
from specjax.papers.melody.representation import (
    CLIP_SAMPLES,
    FRAMES,
    MELS,
    SAMPLE_RATE,
    Representation,
    Statistics,
)
from specjax.papers.melody.tracks import (
    MusicConfig,
    Split,
    Track,
    check_split,
    list_tracks,
    resolve_genres,
    split_by_lists,
    split_by_share,
)
from specjax.papers.melody.wave_clips import Waves, cut_waves, wave_peaks

_SILENCE = 1e-8  # Clips whose maximum power is below this fraction of the track's maximum are dropped.
_TRACKS_TO_ESTIMATE = 32  # tracks that are read before the memory for all is estimated

Clips = Float32[np.ndarray, "_ mels frames"] | Int16[np.ndarray, "_ clip_samples"]  # of one track
Examples = TypeVar("Examples", bound=Music | Waves)


@dataclass(frozen=True)
class _Form(Generic[Examples]):
    """Form in which clips are stored: mel power or waves.

    Attributes:
      collect: creates a data set from the clips of all genres, the numbers of clips, and the tracks of the clips.
      cut: cuts a track into clips, given the config and the name of the track.
      peaks: computes the maximum power of each clip.
      shape: shape of a clip.
      dtype: dtype of a clip.
    """

    collect: Callable[..., Examples]
    cut: Callable[[Wave, MusicConfig, str], Clips]
    peaks: Callable[[Clips], Float[np.ndarray, " clips"]]
    shape: tuple[int, ...]
    dtype: type[np.generic]


_MEL = _Form(Music, cut_mel, mel_peaks, (MELS, FRAMES), np.float32)
_WAVES = _Form(Waves, cut_waves, wave_peaks, (CLIP_SAMPLES,), np.int16)


def load(config: MusicConfig) -> tuple[Music, Music]:
    """Load the training clips and the held-out clips of a data set. The order of the genres is that of the config.

    The result for the latest config is cached, and returned again if no file has changed; its arrays are read-only.
    Loading needs up to twice the memory of the mel power: 1.3 GiB for 1,000 tracks of 30 s.

    A track that is damaged, silent or shorter than 10 s is skipped, and a warning is logged.

    Raises:
      UserError: the source is missing or has another layout; it lacks a genre of the config, or a genre has no usable
        track; too many tracks were skipped; a list of tracks does not fit the source.
    """
    config = resolve_genres(config)
    return _load(config, list_tracks(config), _MEL)


def load_waves(config: MusicConfig) -> tuple[Waves, Waves]:
    """Load the waves of the same training clips and held-out clips as `load`, except that tracks keep their tempo.

    Samples beyond full scale are clipped. A clip takes 431 KiB, so loading 1,000 tracks of 30 s needs up to 2.5 GiB.

    Raises:
      UserError: as for `load`.
    """
    config = resolve_genres(config)
    return _load(config, list_tracks(config), _WAVES)


def resolve(
    config: MusicConfig,
    representation: Representation,
    load: Callable[[MusicConfig], tuple[Music | Waves, Music | Waves]] = load,
) -> tuple[MusicConfig, Representation]:
    """Fill in the names of the genres and the statistics of the training clips, unless they are set.

    Args:
      config: source of the music.
      representation: scale of mel power.
      load: function that loads the clips: `load` or `load_waves`.

    Raises:
      UserError: the data set cannot be used (see `load`).
    """
    config = resolve_genres(config)
    if representation.statistics is None:
        statistics = measure_statistics(load(config)[0], representation.range_db)
        representation = replace(representation, statistics=statistics)
    return config, representation


def locate(music: Music | Waves, indices: Int[Array, " batch"]) -> tuple[Int[Array, " batch"], Int[Array, " batch"]]:
    """Look up clips by index, counting the distinct clips of the first genre, then of the second, and so on.

    Args:
      music: the clips.
      indices: indices of clips, 0 to `sum(music.clips) - 1`.

    Returns:
      The genre of each clip, and its position among the clips of the genre.
    """
    ends = jnp.cumsum(jnp.asarray(music.clips))
    genre = jnp.searchsorted(ends, indices, side="right")
    return genre, indices - jnp.where(genre > 0, ends[genre - 1], 0)


def measure_statistics(music: Music | Waves, range_db: float = 80.0) -> Statistics:
    """Measure the maximum mel power of clips, and the mean and standard deviation of the levels of each mel band.

    Args:
      music: the training clips.
      range_db: dynamic range of the representation.
    """
    places = [(genre, clip) for genre, count in enumerate(music.clips) for clip in range(count)]
    peak_power = max(float(music.clip_power(*place).max()) for place in places)
    floor = np.float32(10 ** (-range_db / 10))
    total, total_squares = np.zeros(MELS), np.zeros(MELS)
    for place in places:
        level_db = 10 * np.log10(music.clip_power(*place) / np.float32(peak_power) + floor)
        total += level_db.mean(axis=1, dtype=float)
        total_squares += np.mean(level_db.astype(float) ** 2, axis=1)
    mean_db = total / len(places)
    deviation_db = np.sqrt(np.maximum(total_squares / len(places) - mean_db**2, 0))
    return Statistics(peak_power, tuple(mean_db.tolist()), tuple(deviation_db.tolist()))


@lru_cache(maxsize=1)
def _load(config: MusicConfig, tracks: tuple[Track, ...], form: _Form[Examples]) -> tuple[Examples, Examples]:
    by_lists = split_by_lists(config, tracks)
    if by_lists is None:
        wanted = [i for i, track in enumerate(tracks) if track.genre in config.genres]
        clips = _read(config, tracks, wanted, form)
        split = split_by_share(config, tracks, clips)
    else:
        clips = _read(config, tracks, sorted({*by_lists.train, *by_lists.held_out}), form)
        split = Split(*([i for i in numbers if i in clips] for numbers in by_lists))
        check_split(config, tracks, split)
    # If held-out clips overlapped, metrics of neighborhoods would find only their copies.
    spacing = ceil(CLIP_SAMPLES / (config.hop_s * SAMPLE_RATE))
    apart = {i: clips[i][::spacing] for i in split.held_out}
    train = _assemble(config, tracks, clips, split.train, form)
    return train, _assemble(config, tracks, apart, split.held_out, form)


def _read(
    config: MusicConfig, tracks: Sequence[Track], numbers: Sequence[int], form: _Form[Examples]
) -> dict[int, Clips]:
    """Read tracks, and return the clips of the usable ones by index of the track.

    Raises:
      UserError: too many tracks cannot be used, or none of a genre; the clips need too much memory.
    """
    clips: dict[int, Clips] = {}
    skipped = SkippedFiles(len(numbers), "tracks", config.max_bad_share, "data.max_bad_share")
    waves = log_progress(open_waves(config, tracks, numbers), len(numbers), "tracks read")
    for done, (i, read_wave) in enumerate(waves, 1):
        try:
            clips[i] = _cut_audible(read_wave(), config, tracks[i].place, form)
        except UserError as error:
            skipped.add(i, error)
        if done == min(len(numbers), _TRACKS_TO_ESTIMATE):
            # The clips take this memory twice while they are assembled.
            needed = 2 * sum(part.nbytes for part in clips.values()) * len(numbers) // done
            check_memory(needed, f"clips of {len(numbers)} tracks", "use a longer data.hop_s or fewer tracks")
    by_genre = {genre: [i for i in numbers if tracks[i].genre == genre] for genre in config.genres}
    for genre, own in by_genre.items():
        if clips.keys().isdisjoint(own):
            raise UserError(
                f"none of {len(own)} tracks of the genre {genre!r} can be used; the first: {skipped.reasons[own[0]]}"
            )
    skipped.report()
    return clips


def _cut_audible(wave: Wave, config: MusicConfig, name: str, form: _Form[Examples]) -> Clips:
    """Cut a track into clips, and drop silent ones.

    Raises:
      UserError: the track is shorter than a clip, or silent.
    """
    clips = form.cut(wave, config, name)
    peaks = form.peaks(clips)
    audible = peaks > _SILENCE * peaks.max()
    if not audible.any():
        raise UserError(f"{name} is silent in every clip: use a track with sound")
    return clips[audible]


def _assemble(
    config: MusicConfig, tracks: Sequence[Track], clips: dict[int, Clips], numbers: Sequence[int], form: _Form[Examples]
) -> Examples:
    """Assemble the clips of the tracks `numbers`, and remove them from `clips` to free their memory."""
    by_genre = [[i for i in numbers if tracks[i].genre == genre] for genre in config.genres]
    count = np.array([sum(len(clips[i]) for i in chosen) for chosen in by_genre], np.int32)
    values = np.empty((len(count), max(count), *form.shape), form.dtype)
    track = np.empty(values.shape[:2], np.int32)
    for genre, chosen in enumerate(by_genre):
        track[genre] = np.resize(np.repeat(chosen, [len(clips[i]) for i in chosen]), len(track[genre]))
        start = 0
        for i in chosen:
            part = clips.pop(i)
            values[genre, start : start + len(part)] = part
            start += len(part)
        values[genre, start:] = values[genre, np.arange(values.shape[1] - start) % max(start, 1)]
    music = form.collect(values, count, track)
    for array in music:
        array.flags.writeable = False
    return music
