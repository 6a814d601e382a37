"""Loading of training and held-out clips and pictures of several eras."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int32, UInt8

from specjax.cli.errors import UserError
from specjax.data.audio import read_audio
from specjax.data.clips import check_memory
from specjax.data.pictures import read_pictures
from specjax.data.skipping import SkippedFiles, log_progress
from specjax.papers.mvnet.catalog import Catalog, Work, check_split, list_works, resolve_eras
from specjax.papers.mvnet.dataset import BUILTIN, ERAS, PICTURE_SIZE, Museum, MuseumConfig
from specjax.papers.mvnet.features import measure_music, measure_pictures
from specjax.papers.mvnet.museum import music
from specjax.papers.mvnet.museum import pictures as paintings
from specjax.papers.mvnet.pairing import pair
from specjax.papers.mvnet.representation import (
    CLIP_S,
    CLIP_SAMPLES,
    FRAMES,
    MELS,
    SAMPLE_RATE,
    THIRDS,
    ClipMel,
    Representation,
    clip_mel,
    measure_statistics,
)

MAX_SOUND_S = 7200.0
_BLOCK = 8  # clips per call of a transform
_PICTURE_BLOCK = 64  # pictures that are drawn or measured per call
_SOUNDS_TO_ESTIMATE = 32  # sound files that are read before the memory for all is estimated

MelPower = Float32[np.ndarray, "clips mels frames thirds"]
Block = tuple[np.ndarray, MelPower]  # index into `Catalog.sounds` of each clip, and the clips
Pixels = tuple[UInt8[np.ndarray, "pictures size size 3"], np.ndarray]  # pictures, and the index of each in the list


def load(config: MuseumConfig) -> tuple[Museum, Museum]:
    """Load the training and the held-out works. Labels of eras are indices into `config.eras`.

    Unusable files are skipped, and a warning is logged. A clip takes 384 KiB, so 1,800 clips take 0.66 GiB. Loading
    needs up to three times that with the scale `log`, and twice that with `power`. The mel power of the latest config
    is cached in memory, and returned again if no file has changed.

    Raises:
      UserError: the source is missing or has another layout; an era lacks usable clips or usable pictures; too many
        files were skipped; a list does not fit the source; a composition is both for training and held out.
    """
    train, held_out = _load_power(config)
    representation = config.representation
    if representation.scale == "power":
        return train, held_out
    if representation.statistics is None:
        representation = replace(representation, statistics=measure_statistics(train.mel))
    encode = jax.jit(representation.encode)
    return _encode(train, encode), _encode(held_out, encode)


def resolve(config: MuseumConfig) -> MuseumConfig:
    """Fill in the names of the eras and the statistics of the training clips, unless they are set or not needed.

    Raises:
      UserError: the data set cannot be used (see `load`).
    """
    config = resolve_eras(config)
    representation = config.representation
    if representation.scale == "log" and representation.statistics is None:
        representation = replace(representation, statistics=measure_statistics(_load_power(config)[0].mel))
    return replace(config, representation=representation)


def map_training_clips(config: MuseumConfig, function: Callable[[ClipMel], Any]) -> Float32[np.ndarray, "clips n"]:
    """Apply a function to the mel power of the training clips, in blocks.

    Raises:
      UserError: the data set cannot be used (see `load`).
    """
    return map_blocks(jax.jit(function), _load_power(config)[0].mel, _BLOCK)


class Paintings(NamedTuple):
    """Pictures and their eras, without music.

    Attributes:
      pixels: red, green and blue, 0 to 255.
      era: index into `eras` of the config.
    """

    pixels: UInt8[np.ndarray, "pictures size size 3"] | UInt8[Array, "pictures size size 3"]
    era: Int32[np.ndarray, " pictures"] | Int32[Array, " pictures"]


def load_paintings(config: MuseumConfig) -> tuple[Paintings, Paintings]:
    """Load the training and the held-out pictures of `load`, without the music.

    Raises:
      UserError: the source is missing or has another layout; an era lacks sound files or usable pictures; too many
        files were skipped.
    """
    config = resolve_eras(config)
    catalog = list_works(config)
    pixels, number = _make_pictures(config, catalog.pictures, PICTURE_SIZE)
    era = np.array([work.era for work in catalog.pictures], np.int32)[number]
    held_out = np.array(catalog.picture_held_out)[number]
    check_split(config, era.tolist(), held_out.tolist(), "pictures")
    return Paintings(pixels[~held_out], era[~held_out]), Paintings(pixels[held_out], era[held_out])


def choose_pictures(config: MuseumConfig, count: int, size: int) -> UInt8[np.ndarray, "eras count size size 3"]:
    """Load some of the training pictures, in any size.

    Args:
      config: the data set.
      count: number of pictures of each era, spread evenly over all of them. In an era with fewer pictures, some are
        repeated.
      size: height and width in pixels.

    Raises:
      UserError: the source is missing or has another layout; none of the pictures of an era can be used.
    """
    config = resolve_eras(config)
    catalog = list_works(config)
    train = [work for work, held_out in zip(catalog.pictures, catalog.picture_held_out, strict=True) if not held_out]
    by_era = [[work for work in train if work.era == era] for era in range(len(config.eras))]
    chosen = [own[i] for own in by_era for i in np.unique(np.linspace(0, len(own) - 1, count).astype(int))]
    pixels, number = _make_pictures(config, chosen, size)
    era = np.array([work.era for work in chosen])[number]
    if missing := [name for label, name in enumerate(config.eras) if label not in era]:
        raise UserError(
            f"no picture of the era {missing[0]!r} can be used: fix its files, or leave it out of data.eras"
        )
    return np.stack([np.resize(pixels[era == label], (count, size, size, 3)) for label in range(len(config.eras))])


def _load_power(config: MuseumConfig) -> tuple[Museum, Museum]:
    """Load the works, with music as mel power instead of the scale of the config."""
    config = resolve_eras(replace(config, representation=Representation("power")))
    return _read(config, list_works(config))


def _encode(museum: Museum, encode: Callable[[Array], Array]) -> Museum:
    mel = np.empty_like(museum.mel)
    for start in range(0, len(mel), _BLOCK):
        mel[start : start + _BLOCK] = encode(jnp.asarray(museum.mel[start : start + _BLOCK]))
    return museum._replace(mel=_read_only(mel))


@lru_cache(maxsize=1)
def _read(config: MuseumConfig, catalog: Catalog) -> tuple[Museum, Museum]:
    """Read all works of a catalog, and split them into training and held-out ones."""
    blocks = list((_synthesize if config.source == BUILTIN else _read_sounds)(config, catalog.sounds))
    pixels, picture = _make_pictures(config, catalog.pictures, PICTURE_SIZE)
    sound = np.concatenate([numbers for numbers, _ in blocks])
    mel = np.concatenate([values for _, values in blocks])
    del blocks
    # Some files may have been skipped.
    sound_held_out = np.array(catalog.sound_held_out)[sound]
    picture_held_out = np.array(catalog.picture_held_out)[picture]
    sound_era = np.array([work.era for work in catalog.sounds], np.int32)[sound]
    picture_era = np.array([work.era for work in catalog.pictures], np.int32)[picture]
    check_split(config, sound_era.tolist(), sound_held_out.tolist(), "sound files")
    check_split(config, picture_era.tolist(), picture_held_out.tolist(), "pictures")
    composition = np.array(catalog.composition, np.int32)[sound]

    def assemble(held_out: bool) -> Museum:
        clips, pictures = sound_held_out == held_out, picture_held_out == held_out
        arrays = mel[clips], sound_era[clips], composition[clips], pixels[pictures], picture_era[pictures]
        museum = Museum(*arrays, pairs=np.empty((0, 2), np.int32))
        return Museum(*map(_read_only, museum._replace(pairs=_pair(config, museum))))

    return assemble(False), assemble(True)


def _pair(config: MuseumConfig, museum: Museum) -> Int32[np.ndarray, "pairs 2"]:
    sound = appearance = None
    if config.pairing == "matched":
        sound = map_blocks(measure_music, museum.mel, _BLOCK)
        appearance = map_blocks(measure_pictures, museum.pictures, _PICTURE_BLOCK)
    return pair(config.pairing, museum.clip_era, museum.picture_era, sound, appearance, config.pictures_per_clip)


def _synthesize(config: MuseumConfig, clips: Sequence[Work]) -> Iterator[Block]:
    """Synthesize clips, and compute their mel power, in blocks."""
    _check_mel_memory(len(clips), "use a smaller data.synthetic_compositions")
    era, number = _synthetic_numbers(config, clips)
    starts = range(0, len(clips), _BLOCK)
    for start in log_progress(starts, len(starts), "blocks of clips synthesized"):
        block = np.arange(start, start + _BLOCK) % len(clips)  # of constant size, to compile once
        kept = min(_BLOCK, len(clips) - start)
        waves = music.synthesize(era[block], number[block], config.synthetic_segments)
        yield block[:kept], np.asarray(clip_mel(waves))[:kept]


def _make_pictures(config: MuseumConfig, works: Sequence[Work], size: int) -> Pixels:
    return (_draw_pictures if config.source == BUILTIN else _read_pictures)(config, works, size)


def _draw_pictures(config: MuseumConfig, works: Sequence[Work], size: int) -> Pixels:
    segments = config.synthetic_segments
    draw = partial(paintings.draw, clips=segments * config.synthetic_compositions, segments=segments, size=size)
    numbers = np.stack(_synthetic_numbers(config, works), axis=1)
    return map_blocks(lambda block: draw(*block.T), numbers, _PICTURE_BLOCK), np.arange(len(works))


def _synthetic_numbers(config: MuseumConfig, works: Sequence[Work]) -> tuple[np.ndarray, np.ndarray]:
    """Return the style of each synthetic work, an index into `ERAS`, and its index within the era."""
    styles = np.array([ERAS.index(era) for era in config.eras], np.int32)
    return styles[[work.era for work in works]], np.array([work.number for work in works], np.int32)


def _read_sounds(config: MuseumConfig, sounds: Sequence[Work]) -> Iterator[Block]:
    """Read the clips of sound files, and compute their mel power, in blocks."""
    clips = _cut_sounds(config, sounds)
    while block := list(islice(clips, _BLOCK)):
        waves = np.zeros((_BLOCK, CLIP_SAMPLES), np.float32)  # of constant size, to compile once
        waves[: len(block)] = [wave for _, wave in block]
        yield np.array([number for number, _ in block]), np.asarray(clip_mel(jnp.asarray(waves)))[: len(block)]


def _cut_sounds(config: MuseumConfig, sounds: Sequence[Work]) -> Iterator[tuple[int, Float[np.ndarray, " samples"]]]:
    """Read sound files, and cut them into successive clips. Yield each clip with the index of its file.

    Raises:
      UserError: too many files cannot be used; the clips need too much memory.
    """
    skipped = SkippedFiles(len(sounds), "sound files", config.max_bad_share, "data.max_bad_share")
    clips = 0
    for i, sound in enumerate(log_progress(sounds, len(sounds), "sound files read")):
        try:
            waves = cut_clips(read_audio(sound.path, SAMPLE_RATE, max_duration_s=MAX_SOUND_S)[0], str(sound.path))
        except UserError as error:
            skipped.add(i, error)
            waves = np.empty((0, CLIP_SAMPLES), np.float32)
        clips += len(waves)
        if i + 1 == min(_SOUNDS_TO_ESTIMATE, len(sounds)):
            _check_mel_memory(clips * len(sounds) // (i + 1), "use fewer or shorter sound files")
        yield from ((i, wave) for wave in waves)
    skipped.report()


def cut_clips(wave: Float[np.ndarray, " samples"], name: str) -> Float[np.ndarray, "clips clip_samples"]:
    """Cut a wave at `SAMPLE_RATE` into successive clips of 8.91 s. The remainder at the end is dropped.

    Args:
      wave: the wave.
      name: name of its file, for the error message.

    Raises:
      UserError: the wave is shorter than a clip.
    """
    count = len(wave) // CLIP_SAMPLES
    if not count:
        raise UserError(
            f"{name} lasts {len(wave) / SAMPLE_RATE:.2f} s, expected at least {CLIP_S} s ({CLIP_SAMPLES} samples at "
            f"{SAMPLE_RATE} Hz): use a longer file"
        )
    return wave[: count * CLIP_SAMPLES].reshape(count, CLIP_SAMPLES)


def _read_pictures(config: MuseumConfig, works: Sequence[Work], size: int) -> Pixels:
    number = {work.path: i for i, work in enumerate(works)}
    read = read_pictures(list(number), size, max_bad_share=config.max_bad_share)
    return read.pixels, np.array([number[path] for path in read.paths])


def map_blocks(function: Callable[[Any], Any], values: np.ndarray, size: int) -> Any:
    """Apply a function of a batch to blocks of `size` values, compiled once, and concatenate the results."""
    results = []
    for start in range(0, len(values), size):
        block = np.take(values, np.arange(start, start + size), axis=0, mode="wrap")
        kept = min(size, len(values) - start)
        results.append(jax.tree.map(lambda x, kept=kept: np.asarray(x)[:kept], function(jnp.asarray(block))))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *results)


def _check_mel_memory(clips: int, remedy: str) -> None:
    """Check that the mel power of clips fits in memory twice, because it is copied when it is split."""
    check_memory(2 * clips * MELS * FRAMES * THIRDS * np.dtype(np.float32).itemsize, f"{clips} clips", remedy)


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
