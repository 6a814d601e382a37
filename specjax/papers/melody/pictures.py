"""Pictures of mel spectrograms, the data of the paper's first approach: images of 288 x 432 pixels with 4 channels.

The public GTZAN archive has one such picture for each track, drawn by a plotting program. The networks treat the
pictures as plain images: their colors cannot be converted back to sound.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int32, UInt8

from specjax.cli.errors import UserError
from specjax.cli.paths import local_path
from specjax.data.clips import check_memory
from specjax.data.readers import check_folder, read_color_picture, subfolders
from specjax.papers.melody import data, recordings
from specjax.papers.melody.band import GENRES
from specjax.papers.melody.mel_clips import Music
from specjax.papers.melody.representation import mel_power
from specjax.papers.melody.tracks import (
    BUILTIN,
    MusicConfig,
    Track,
    check_genres,
    example_tracks,
    split_by_lists,
    split_by_share,
)
from specjax.plots import render

HEIGHT, WIDTH, CHANNELS = 288, 432, 4
_FOLDER = "images_original"  # in the public archive of GTZAN
_AXES = slice(35, 253), slice(54, 390)  # rows and columns inside of the white margin
_RANGE_DB = 80.0
_BLOCK = 12  # height and width, in pixels, of the area that becomes one pixel of a thumbnail

Pixels = UInt8[np.ndarray, "height width 4"]


class Pictures(NamedTuple):
    """Pictures of the mel spectrograms of each genre.

    Attributes:
      pixels: red, green, blue and alpha from 0 to 255. Genres with fewer pictures than others are padded by repeating
        their pictures.
      pictures: number of distinct pictures of each genre.
    """

    pixels: UInt8[np.ndarray, "genres pictures height width 4"]
    pictures: Int32[np.ndarray, " genres"]


def resolve_genres(config: MusicConfig) -> MusicConfig:
    """Fill in the names of the genres from the folder of pictures, if `config.genres` is empty.

    Raises:
      UserError: the source is missing or has another layout.
    """
    if config.genres:
        return config
    if config.source == BUILTIN:
        return replace(config, genres=GENRES)
    return replace(config, genres=tuple(sorted({track.genre for track in _list_pictures(config)})))


def load_pictures(config: MusicConfig) -> tuple[Pictures, Pictures]:
    """Load the training pictures and the held-out pictures.

    Args:
      config: as for sounds, with two differences. A source that is a folder has one subfolder of PNG files per genre,
        or contains the folder `images_original` that has. Data sets of TensorFlow Datasets have no pictures. The
        pictures of the source `synthetic` are drawn from the clips of its tracks.

    Raises:
      UserError: the source is missing or has another layout; it lacks a genre of the config; a picture cannot be read
        or has another size; a list of tracks does not fit the source.
    """
    config = resolve_genres(config)
    if config.source == BUILTIN:
        train, held_out = data.load(config)
        return _draw(train), _draw(held_out)
    tracks = _list_pictures(config)
    wanted = [i for i, track in enumerate(tracks) if track.genre in config.genres]
    split = split_by_lists(config, tracks) or split_by_share(config, tracks, wanted)
    size = (len(split.train) + len(split.held_out)) * HEIGHT * WIDTH * CHANNELS
    check_memory(2 * size, f"{len(tracks)} pictures", "use fewer")  # as a list and as an array
    return _read(config, tracks, split.train), _read(config, tracks, split.held_out)


def read_example(config: MusicConfig, genre: str) -> Pixels:
    """Read the first held-out picture of a genre, or a training picture if none is held out.

    Raises:
      UserError: as for `load_pictures`.
    """
    if config.source == BUILTIN:
        return draw_picture(np.asarray(mel_power(jnp.asarray(recordings.read_example(config, genre)))))
    config = replace(config, genres=(genre,))
    tracks = _list_pictures(config)
    return _read_picture(tracks[example_tracks(config, tracks)[0]].path)


def to_values(pixels: UInt8[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Convert pixels from 0 to 255 to values in [-1, 1], the range of the generator."""
    return pixels.astype(jnp.float32) / 127.5 - 1.0


def to_pixels(values: Float[Array, "*shape"]) -> UInt8[Array, "*shape"]:
    """Convert values in [-1, 1] to pixels from 0 to 255. Values outside of the range are clipped."""
    return jnp.round(127.5 * (jnp.clip(values, -1.0, 1.0) + 1.0)).astype(jnp.uint8)


def shrink(values: Float[Array, "*batch height width 4"]) -> Float[Array, "*batch 24 36 4"]:
    """Shrink pictures to thumbnails, whose pixels are the means of blocks of 12 x 12 pixels."""
    height, width = HEIGHT // _BLOCK, WIDTH // _BLOCK
    return jnp.mean(values.reshape(*values.shape[:-3], height, _BLOCK, width, _BLOCK, CHANNELS), axis=(-4, -2))


def draw_sheet(
    pixels: UInt8[np.ndarray, "genres pictures height width 4"], titles: Sequence[str]
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Draw pictures at half their size in a grid, on white as image viewers show them.

    Args:
      pixels: pictures of each row.
      titles: title of each row.
    """
    opaque, alpha = pixels[..., ::2, ::2, :3].astype(np.float32), pixels[..., ::2, ::2, 3:] / np.float32(255)
    rows = np.round(alpha * opaque + (1 - alpha) * 255).astype(np.uint8)
    return render.tile([list(row) for row in rows], [str(i) for i in range(1, pixels.shape[1] + 1)], titles)


def draw_picture(mel: Float32[np.ndarray, "mels frames"]) -> Pixels:
    """Draw the mel power of a clip in the layout of the public pictures: on opaque white, with a margin, without axes.

    The colors show the level from 80 dB below the maximum of the clip up to the maximum; low bands are at the bottom.
    """
    relative = mel / max(mel.max(), np.finfo(np.float32).tiny)
    level_db = 10 * np.log10(np.maximum(relative * np.float32(10 ** (_RANGE_DB / 10)), 1))
    picture = np.full((HEIGHT, WIDTH, CHANNELS), 255, np.uint8)
    height, width = (part.stop - part.start for part in _AXES)
    rows = np.arange(height)[::-1] * len(level_db) // height
    columns = np.arange(width) * level_db.shape[1] // width
    picture[*_AXES, :3] = render.apply_colormap(level_db[rows][:, columns] / _RANGE_DB)
    return picture


def _list_pictures(config: MusicConfig) -> tuple[Track, ...]:
    folder = local_path(config.source, "config.data.source")
    check_folder(folder, "PNG files, with one subfolder per genre")
    folder = folder / _FOLDER if (folder / _FOLDER).is_dir() else folder
    tracks = [
        Track(genre.name, path.name, path=path)
        for genre in subfolders(folder)
        for path in sorted(genre.iterdir())
        if path.suffix.lower() == ".png"
    ]
    if not tracks:
        raise UserError(f"{folder} has no subfolders with PNG files, expected one per genre: name another folder")
    check_genres(config, (track.genre for track in tracks))
    return tuple(tracks)


def _read(config: MusicConfig, tracks: Sequence[Track], numbers: Sequence[int]) -> Pictures:
    chosen = [tracks[i] for i in numbers]
    return _stack([[_read_picture(track.path) for track in chosen if track.genre == genre] for genre in config.genres])


def _read_picture(path: Path) -> Pixels:
    picture = read_color_picture(path)
    if picture.shape[:2] != (HEIGHT, WIDTH):
        raise UserError(
            f"{path} is {picture.shape[0]} pixels high and {picture.shape[1]} wide, expected {HEIGHT} and {WIDTH} as "
            "in the public set: resize it"
        )
    return picture


def _draw(music: Music) -> Pictures:
    return _stack([[draw_picture(clip) for clip in mel[:n]] for mel, n in zip(music.mel, music.clips, strict=True)])


def _stack(by_genre: list[list[Pixels]]) -> Pictures:
    """Stack the pictures of genres with different numbers of pictures."""
    count = np.array([len(pictures) for pictures in by_genre], np.int32)
    pixels = np.empty((len(count), max(count), HEIGHT, WIDTH, CHANNELS), np.uint8)
    for genre, pictures in enumerate(by_genre):
        for i in range(len(pixels[genre])):
            pixels[genre, i] = pictures[i % len(pictures)]
    return Pictures(pixels, count)
