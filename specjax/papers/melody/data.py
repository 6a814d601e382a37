"""Clips of music of 10 s, as mel power or as waves, for training and held out."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import islice
from math import ceil
from pathlib import Path
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Int16, Int32

from specjax.cli.app import cache_folder
from specjax.cli.errors import UserError
from specjax.data import beats
from specjax.data.audio import read_audio
from specjax.data.clips import check_memory
from specjax.data.labeled_sounds import TFDS, open_tfds
from specjax.papers.melody import band
from specjax.papers.melody.representation import (
    CLIP_SAMPLES,
    FILTERS,
    FRAMES,
    MELS,
    SAMPLE_RATE,
    TRANSFORM,
    Representation,
    Statistics,
    mel_power,
)
from specjax.papers.melody.tracks import (
    BUILTIN,
    MusicConfig,
    Split,
    Track,
    check_split,
    example_tracks,
    list_tracks,
    resolve_genres,
    split_by_lists,
    split_by_share,
)
from specjax.signal.mel import mel_from_wave
from specjax.signal.stft import Stft

MAX_TRACK_S = 3600.0
FULL_SCALE = 32767  # integer that stands for a sample of 1
_SLACK = 0.01  # A track that lacks this fraction of `hop_s` at its end still has its last clip, which starts earlier.
_SILENCE = 1e-8  # Clips whose greatest power is below this fraction of the track's are left out.
_BLOCK = 4  # clips that are transformed at a time
_SYNTHETIC_BLOCK = 4  # tracks that are synthesized at a time
_REPORT_S = 10.0  # seconds between two lines about the progress of reading
_TRACKS_TO_ESTIMATE = 32  # tracks after which the memory of all is estimated
# Frames of a clip, one after the other without overlap.
_FRAMES = Stft(TRANSFORM.n_fft, TRANSFORM.n_fft, TRANSFORM.window, center=False)

_log = logging.getLogger("specjax")

Clips = Float32[np.ndarray, "_ mels frames"] | Int16[np.ndarray, "_ clip_samples"]  # of one track
ReadWave = Callable[[], Float[np.ndarray, " samples"]]
Examples = TypeVar("Examples", bound="Music | Waves")


class Music(NamedTuple):
    """Clips of music of each genre.

    Attributes:
      mel: mel power of each clip of 10 s, with the lowest band in row 0. Genres with fewer clips than others are filled
        up by repeating theirs.
      clips: number of different clips of each genre.
      track: number of the track that each clip is from. No two tracks of a data set have the same number.
    """

    mel: Float32[np.ndarray, "genres clips mels frames"]
    clips: Int32[np.ndarray, " genres"]
    track: Int32[np.ndarray, "genres clips"]


class Waves(NamedTuple):
    """Waves of clips of music of each genre.

    Attributes:
      wave: samples of each clip of 10 s, at `SAMPLE_RATE`, as integers (see `decode_samples`). Genres with fewer clips
        than others are filled up by repeating theirs.
      clips, track: as those of `Music`.
    """

    wave: Int16[np.ndarray, "genres clips samples"]
    clips: Int32[np.ndarray, " genres"]
    track: Int32[np.ndarray, "genres clips"]


def load(config: MusicConfig) -> tuple[Music, Music]:
    """Load the training clips and the held-out clips of a data set. The order of the genres is that of the config.

    The result for the latest config is kept in memory, and returned again if no file has changed; its arrays are
    read-only. Up to twice the memory of the mel power is needed while it is loaded: 1.3 GiB for 1,000 tracks of 30 s.

    A track that is damaged, silent or shorter than 10 s is skipped, and a warning is logged.

    Raises:
      UserError: the source is missing or has another layout; it lacks a genre of the config, or a genre has no track
        that can be used; too many tracks were skipped; a list of tracks does not fit the source.
    """
    config = resolve_genres(config)
    return _load(config, list_tracks(config), Music)


def load_waves(config: MusicConfig) -> tuple[Waves, Waves]:
    """Load the waves of the same training clips and held-out clips as `load`, except that tracks keep their tempo.

    Samples beyond full scale are clipped. A clip takes 431 KiB, so up to 2.5 GiB are needed while 1,000 tracks of 30 s
    are loaded.

    Raises:
      UserError: as for `load`.
    """
    config = resolve_genres(config)
    return _load(config, list_tracks(config), Waves)


def decode_samples(
    wave: Int16[Array, "*batch samples"] | Int16[np.ndarray, "*batch samples"],
) -> Float[Array, "*batch samples"]:
    """Convert integer samples to numbers in [-1, 1]."""
    return jnp.asarray(wave).astype(jnp.float32) / FULL_SCALE


@lru_cache(maxsize=1)
def _load(config: MusicConfig, tracks: tuple[Track, ...], form: type[Examples]) -> tuple[Examples, Examples]:
    by_lists = split_by_lists(config, tracks)
    wanted = [i for i, track in enumerate(tracks) if track.genre in config.genres]
    if by_lists is not None:
        wanted = sorted({*by_lists.train, *by_lists.held_out})
    clips = _read(config, tracks, wanted, form)
    if by_lists is None:
        split = split_by_share(config, tracks, clips)
    else:
        split = Split(*([i for i in numbers if i in clips] for numbers in by_lists))
        check_split(config, tracks, split)
    # Measures of neighborhoods would find the copies of overlapping clips only.
    spacing = ceil(CLIP_SAMPLES / (config.hop_s * SAMPLE_RATE))
    apart = {i: clips[i][::spacing] for i in split.held_out}
    train, held_out = (
        _assemble(config, tracks, part, numbers, form) for part, numbers in zip((clips, apart), split, strict=True)
    )
    return train, held_out


def read_waves(config: MusicConfig, numbers: Sequence[int]) -> list[Float[np.ndarray, " samples"]]:
    """Read whole tracks at `SAMPLE_RATE`, in their own tempo.

    Args:
      config: the data set.
      numbers: numbers of the tracks, as in `Music.track`.

    Raises:
      UserError: the source is missing, or a track is damaged.
    """
    return [read_wave() for _, read_wave in _waves(config, list_tracks(config), numbers)]


def read_example(config: MusicConfig, genre: str) -> Float[np.ndarray, " samples"]:
    """Read the first 10 s of a track of a genre, at `SAMPLE_RATE`: of the first held-out track that can be used.

    The track keeps its tempo. If none is held out, it is one of the training tracks.

    Raises:
      UserError: the source is missing or has another layout; it lacks the genre; no track can be used.
    """
    config = replace(config, genres=(genre,))
    tracks = list_tracks(config)
    reasons = []
    for i, read_wave in _waves(config, tracks, example_tracks(config, tracks)):
        try:
            wave = read_wave()
        except UserError as error:
            reasons.append(str(error))
            continue
        if len(wave) >= CLIP_SAMPLES:
            return wave[:CLIP_SAMPLES]
        reasons.append(f"{tracks[i].place} is shorter than 10 s")
    raise UserError(f"no track of the genre {genre!r} can be shown: {reasons[0]}")


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
    """Find clips by their numbers, which count the different clips of the first genre, then of the second, and so on.

    Args:
      music: the clips.
      indices: numbers of clips, 0 to `sum(music.clips) - 1`.

    Returns:
      The genre of each clip, and its position among the clips of the genre.
    """
    ends = jnp.cumsum(jnp.asarray(music.clips))
    genre = jnp.searchsorted(ends, indices, side="right")
    return genre, indices - jnp.where(genre > 0, ends[genre - 1], 0)


def measure_statistics(music: Music | Waves, range_db: float = 80.0) -> Statistics:
    """Measure the greatest mel power of clips, and the mean and standard deviation of the levels of each band.

    Args:
      music: the training clips.
      range_db: dynamic range of the representation.
    """
    places = [(genre, clip) for genre, count in enumerate(music.clips) for clip in range(count)]

    def read(place: tuple[int, int]) -> Float32[np.ndarray, "mels frames"]:
        return (
            music.mel[place] if isinstance(music, Music) else np.asarray(mel_power(decode_samples(music.wave[place])))
        )

    peak_power = max(float(read(place).max()) for place in places)
    floor = np.float32(10 ** (-range_db / 10))
    total, total_squares = np.zeros(MELS), np.zeros(MELS)
    for place in places:
        level_db = 10 * np.log10(read(place) / np.float32(peak_power) + floor)
        total += level_db.mean(axis=1, dtype=float)
        total_squares += np.mean(level_db.astype(float) ** 2, axis=1)
    mean_db = total / len(places)
    deviation_db = np.sqrt(np.maximum(total_squares / len(places) - mean_db**2, 0))
    return Statistics(peak_power, tuple(mean_db.tolist()), tuple(deviation_db.tolist()))


def cut_clips(
    wave: Float[np.ndarray, " samples"], hop_s: float, speed: float = 1.0
) -> Iterator[Float32[np.ndarray, "frames n_fft"]]:
    """Cut a track into clips of 10 s, and each clip into the frames of its mel spectrogram.

    Args:
      wave: the track, at `SAMPLE_RATE`.
      hop_s: distance between the starts of adjacent clips, in seconds of the result.
      speed: factor by which the tempo rises. Frames are taken from the recording at distances of `speed` times the hop
        length, so that the pitch does not change. This is how a phase vocoder stretches time, without the phases.

    Yields:
      The frames of each clip; each clip is reflected at its ends (see `Stft.center`). There are none if the track is
      too short.
    """
    length = round(CLIP_SAMPLES * speed)
    centers = np.round(np.arange(FRAMES) * TRANSFORM.hop_length * speed).astype(int)
    for start in _clip_starts(len(wave), length, hop_s * SAMPLE_RATE * speed):
        padded = np.pad(wave[start : start + length], TRANSFORM.padding, mode="reflect")
        yield np.lib.stride_tricks.sliding_window_view(padded, TRANSFORM.n_fft)[centers]


def _clip_starts(samples: int, length: int, hop: float) -> list[int]:
    """Return the first samples of all clips of `length` samples in a track; none if the track is too short."""
    last = samples - length
    return [] if last < 0 else [min(round(i * hop), last) for i in range(1 + int(last / hop + _SLACK))]


def find_speed(wave: Float[np.ndarray, " samples"], tempo_bpm: float, cache: Path | None = None) -> float:
    """Find the factor by which the tempo of a track must rise to become `tempo_bpm`, or half or twice as much.

    The factor lies between 0.7 and 1.42. It is 1 for a track without beats.

    Args:
      wave: the track, at `SAMPLE_RATE`.
      tempo_bpm: tempo in beats per minute.
      cache: folder in which the beats are kept, see `specjax.data.beats.track`.
    """
    measured_bpm = beats.steady_tempo_bpm(beats.track(wave, SAMPLE_RATE, cache))
    if not measured_bpm:
        return 1.0
    octaves = np.log2(tempo_bpm / measured_bpm)
    return float(2 ** (octaves - np.round(octaves)))


def _read(
    config: MusicConfig, tracks: Sequence[Track], wanted: Sequence[int], form: type[Examples]
) -> dict[int, Clips]:
    """Read the tracks with the numbers `wanted`. Return the clips of those that can be used, by number.

    Raises:
      UserError: too many tracks cannot be used, or none of a genre; the clips need too much memory.
    """
    clips: dict[int, Clips] = {}
    skipped: dict[int, str] = {}
    reported = time.monotonic()
    for done, (i, read_wave) in enumerate(_waves(config, tracks, wanted), 1):
        if time.monotonic() - reported >= _REPORT_S:
            reported = time.monotonic()
            _log.info("%d of %d tracks read", done, len(wanted))
        try:
            clips[i] = _cut(tracks[i], read_wave(), config, form)
        except UserError as error:
            skipped[i] = str(error)
            if len(skipped) > config.max_bad_share * len(wanted):
                raise UserError(
                    f"{len(skipped)} of {len(wanted)} tracks cannot be used, more than data.max_bad_share="
                    f"{config.max_bad_share:g}; the first: {next(iter(skipped.values()))}"
                ) from error
        if done == min(len(wanted), _TRACKS_TO_ESTIMATE):
            # The clips take this memory twice while they are put together.
            needed = 2 * sum(part.nbytes for part in clips.values()) * len(wanted) // done
            check_memory(needed, f"clips of {len(wanted)} tracks", "use a longer data.hop_s or fewer tracks")
    for genre in config.genres:
        numbers = [i for i in wanted if tracks[i].genre == genre]
        if not any(i in clips for i in numbers):
            raise UserError(
                f"none of {len(numbers)} tracks of the genre {genre!r} can be used; the first: {skipped[numbers[0]]}"
            )
    for reason in skipped.values():
        _log.warning("skipped: %s", reason)
    return clips


def _waves(config: MusicConfig, tracks: Sequence[Track], wanted: Sequence[int]) -> Iterator[tuple[int, ReadWave]]:
    """Iterate over the numbers of the tracks in `wanted`, with functions that read their waves at `SAMPLE_RATE`."""
    if config.source == BUILTIN:
        yield from _synthesize(tracks, wanted)
    elif config.source.startswith(TFDS):
        opened = open_tfds(config.source)
        for i in wanted:
            yield i, lambda example=opened.examples[tracks[i].number]: opened.wave(example, SAMPLE_RATE)
    else:
        for i in wanted:
            yield i, lambda path=tracks[i].path: read_audio(path, SAMPLE_RATE, max_duration_s=MAX_TRACK_S)[0]


def _synthesize(tracks: Sequence[Track], wanted: Sequence[int]) -> Iterator[tuple[int, ReadWave]]:
    genre = np.array([band.GENRES.index(tracks[i].genre) for i in wanted], np.int32)
    number = np.array([tracks[i].number for i in wanted], np.int32)
    fold_in = jax.vmap(jax.random.fold_in, (None, 0))
    for start in range(0, len(wanted), _SYNTHETIC_BLOCK):
        block = np.arange(start, start + _SYNTHETIC_BLOCK) % len(wanted)  # of constant size, to compile once
        keys = jax.vmap(jax.random.fold_in)(fold_in(jax.random.key(0), genre[block]), number[block])
        waves = np.asarray(band.synthesize(keys, jnp.asarray(genre[block]), SAMPLE_RATE))
        yield from zip(
            wanted[start : start + _SYNTHETIC_BLOCK], (partial(np.asarray, wave) for wave in waves), strict=False
        )


def _cut(track: Track, wave: Float[np.ndarray, " samples"], config: MusicConfig, form: type[Examples]) -> Clips:
    """Cut a track into clips, and leave out the silent ones.

    Raises:
      UserError: the track is shorter than a clip, or silent.
    """
    speed = find_speed(wave, config.tempo_bpm, cache_folder("beats")) if config.tempo_bpm else 1.0
    if form is Music:
        clips: Clips = _compute_mel(cut_clips(wave, config.hop_s, speed))
        loudest = clips.max(axis=(1, 2), initial=0)
    else:
        clips = _quantize(wave, config.hop_s)
        loudest = np.square(np.abs(clips).max(axis=1, initial=0), dtype=float)
    if not len(clips):
        duration_s, least_s = len(wave) / SAMPLE_RATE, CLIP_SAMPLES / SAMPLE_RATE * speed
        raise UserError(
            f"{track.place} lasts {duration_s:.1f} s, expected at least {least_s:.1f}: use longer tracks, or remove it"
        )
    audible = loudest > _SILENCE * loudest.max()
    if not audible.any():
        raise UserError(f"{track.place} is silent in every clip: use a track with sound")
    return clips[audible]


def _compute_mel(frames: Iterator[Float32[np.ndarray, "frames n_fft"]]) -> Float32[np.ndarray, "clips mels frames"]:
    """Compute the mel power of clips that are cut into frames."""
    blocks = [np.zeros((0, MELS, FRAMES), np.float32)]
    while block := list(islice(frames, _BLOCK)):
        padded = np.zeros((_BLOCK, FRAMES * _FRAMES.n_fft), np.float32)  # of constant size, to compile once
        padded[: len(block)] = np.reshape(block, (len(block), -1))
        blocks.append(np.asarray(mel_from_wave(jnp.asarray(padded), _FRAMES, FILTERS))[: len(block)])
    return np.concatenate(blocks)


def _quantize(wave: Float[np.ndarray, " samples"], hop_s: float) -> Int16[np.ndarray, "clips clip_samples"]:
    """Round the samples of a track to integers, and cut it into clips."""
    samples = np.round(np.clip(wave, -1, 1) * FULL_SCALE).astype(np.int16)
    starts = _clip_starts(len(wave), CLIP_SAMPLES, hop_s * SAMPLE_RATE)
    return np.array([samples[start : start + CLIP_SAMPLES] for start in starts], np.int16).reshape(-1, CLIP_SAMPLES)


def _assemble(
    config: MusicConfig, tracks: Sequence[Track], clips: dict[int, Clips], numbers: Sequence[int], form: type[Examples]
) -> Examples:
    """Put the clips of the tracks `numbers` together, and remove them from `clips` to free their memory."""
    by_genre = [[i for i in numbers if tracks[i].genre == genre] for genre in config.genres]
    count = np.array([sum(len(clips[i]) for i in chosen) for chosen in by_genre], np.int32)
    shape, dtype = ((MELS, FRAMES), np.float32) if form is Music else ((CLIP_SAMPLES,), np.int16)
    values = np.empty((len(count), max(count), *shape), dtype)
    track = np.empty(values.shape[:2], np.int32)
    for genre, chosen in enumerate(by_genre):
        track[genre] = np.resize(np.repeat(chosen, [len(clips[i]) for i in chosen]), len(track[genre]))
        start = 0
        for i in chosen:
            part = clips.pop(i)
            values[genre, start : start + len(part)] = part
            start += len(part)
        values[genre, start:] = values[genre, np.arange(values.shape[1] - start) % max(start, 1)]
    music = form(values, count, track)
    for array in music:
        array.flags.writeable = False
    return music
