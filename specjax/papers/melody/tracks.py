"""Tracks of a data set of music: settings of the data set, its genres, and its split."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from specjax.cli.errors import UserError
from specjax.cli.paths import local_path
from specjax.data.audio import SUFFIXES
from specjax.data.clips import audio_files
from specjax.data.file_lists import find_files, read_lines
from specjax.data.labeled_sounds import TFDS, class_files, open_tfds
from specjax.data.readers import check_folder, file_version
from specjax.papers.melody import band

BUILTIN = "synthetic"
_GENRE_FOLDERS = ("genres", "genres_original")  # folders of sounds in the archives of GTZAN that are in circulation


@dataclass(frozen=True)
class MusicConfig:
    """Settings of the data set of music: its source, its genres, and its split.

    Each track is cut into clips of 10 s. All clips of a track are either for training or held out.

    source: one of the following.
      `synthetic`: tracks of 30 s, generated from random numbers.
      `tfds:NAME`: the data set NAME of TensorFlow Datasets, such as `tfds:gtzan`.
      Path of a folder with one subfolder of sound files per genre, or of the folder that contains this one under the
        name `genres` or `genres_original`.
      Path of a folder with the sound files of a single genre; the genre has the name of the folder.
    genres: names of the genres, in the order of the networks' outputs. Other genres of the source are ignored. Empty
      means all genres of the source, sorted by name.
    hop_s: distance between the starts of adjacent training clips of a track, in seconds. 10 cuts a track of 30 s into
      three clips, as in the paper. With smaller values, training clips overlap; held-out clips never do.
    held_out_share: fraction of the tracks of each genre that are held out: the last ones by name, because neighbors
      in a folder are often by the same artist. If it is not 0, at least one track of each genre is held out.
    train_list, held_out_list: text files that list tracks, one per line, such as `blues.00003.wav` or
      `blues/blues.00003.wav`. They replace `held_out_share`. If one of them is empty (''), it stands for all tracks
      that are not in the other.
    synthetic_tracks: number of tracks per genre of the source `synthetic`.
    tempo_bpm: common tempo in beats per minute. Every track is stretched without a change of pitch to this tempo, or to
      half or twice it if that is a smaller change. 0 leaves the tracks unchanged.
    max_bad_share: largest fraction of tracks that may be skipped because they are damaged, silent or too short.
    """

    source: str = BUILTIN
    genres: tuple[str, ...] = ()
    hop_s: float = 10.0
    held_out_share: float = 0.2
    train_list: str = ""
    held_out_list: str = ""
    synthetic_tracks: int = 40
    tempo_bpm: float = 0.0
    max_bad_share: float = 0.5

    def __post_init__(self) -> None:
        if not 0.1 <= self.hop_s <= 600:
            raise ValueError(f"data.hop_s={self.hop_s} must lie between 0.1 and 600")
        if not 0 <= self.held_out_share < 1:
            raise ValueError(f"data.held_out_share={self.held_out_share} must be at least 0 and below 1")
        if self.synthetic_tracks < 2:
            raise ValueError(f"data.synthetic_tracks={self.synthetic_tracks} must be at least 2")
        if self.tempo_bpm != 0 and not 30 <= self.tempo_bpm <= 300:
            raise ValueError(f"data.tempo_bpm={self.tempo_bpm} must be 0 or lie between 30 and 300")
        if not 0 <= self.max_bad_share <= 1:
            raise ValueError(f"data.max_bad_share={self.max_bad_share} must lie between 0 and 1")
        if repeated := [name for name in self.genres if self.genres.count(name) > 1]:
            raise ValueError(f"data.genres names {repeated[0]!r} twice: name each genre once")


class Track(NamedTuple):
    """One track of a data set, before it is read.

    Attributes:
      genre: name of its genre.
      name: name of the track inside its genre, such as `blues.00003.wav`. A file in a subfolder has the name of the
        subfolder before it, with a slash.
      path: the file; `Path()` if there is none.
      number: index of the example in a data set of TensorFlow Datasets, or of a synthetic track within its genre.
      version: size in bytes and modification time of the file, to detect changes.
    """

    genre: str
    name: str
    path: Path = Path()
    number: int = 0
    version: tuple[int, int] = (0, 0)

    @property
    def place(self) -> str:
        """Path of the file, or name of the track if it has none; for messages."""
        return self.name if self.path == Path() else str(self.path)


class Split(NamedTuple):
    """Indices of the training tracks and of the held-out tracks, into the list of all tracks."""

    train: list[int]
    held_out: list[int]


def resolve_genres(config: MusicConfig) -> MusicConfig:
    """Fill in the names of the genres from the source, if `config.genres` is empty. No sound is read.

    Raises:
      UserError: the source is missing or has another layout.
    """
    if config.genres:
        return config
    if config.source == BUILTIN:
        return replace(config, genres=band.GENRES)
    if config.source.startswith(TFDS):
        return replace(config, genres=tuple(open_tfds(config.source).class_names))
    return replace(config, genres=tuple(sorted({track.genre for track in list_tracks(config)})))


def list_tracks(config: MusicConfig) -> tuple[Track, ...]:
    """List the tracks of all genres of a source, sorted by genre and name, without reading sounds from files.

    Raises:
      UserError: the source is missing or has another layout, or lacks one of `config.genres`.
    """
    if config.source == BUILTIN:
        tracks = [Track(g, f"{g}.{i:05d}", number=i) for g in band.GENRES for i in range(config.synthetic_tracks)]
    elif config.source.startswith(TFDS):
        tracks = _list_tfds(config.source)
    else:
        tracks = _list_folder(local_path(config.source, "config.data.source"))
    check_genres(config, (track.genre for track in tracks))
    return tuple(tracks)


def check_genres(config: MusicConfig, found: Iterable[str]) -> None:
    """Check that a source with the genres `found` has all of `config.genres`.

    Raises:
      UserError: a genre is missing.
    """
    existing = sorted(set(found))
    if missing := [name for name in config.genres if name not in existing]:
        raise UserError(
            f"{config.source} has the genres {', '.join(existing)}, but not {missing[0]!r} of data.genres: use other "
            "data, or other genres"
        )


def _list_folder(folder: Path) -> list[Track]:
    expected = "sound files, with one subfolder per genre, or of a single genre"
    check_folder(folder, expected)
    folder = next((folder / name for name in _GENRE_FOLDERS if (folder / name).is_dir()), folder)
    direct = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    by_genre = class_files(folder)
    if direct and by_genre:
        raise UserError(
            f"{folder} has the sound file {direct[0].name} beside the subfolder {min(by_genre)}, expected either the "
            "files of a single genre or one subfolder per genre: move one of them"
        )
    if not by_genre:
        by_genre = {folder.resolve().name: audio_files(folder)}
    parents = {genre: folder if direct else folder / genre for genre in by_genre}
    return [
        Track(genre, path.relative_to(parents[genre]).as_posix(), path, version=file_version(path))
        for genre, files in by_genre.items()
        for path in files
    ]


def _list_tfds(source: str) -> list[Track]:
    opened = open_tfds(source)
    tracks = []
    for i, example in enumerate(opened.examples):
        genre, file = opened.class_name(example), example.get("audio/filename", b"")
        name = file.decode() if isinstance(file, bytes) else str(file)
        tracks.append(Track(genre, PurePosixPath(name).name or f"{genre}.{i:05d}", number=i))
    return sorted(tracks, key=lambda track: track[:2])


def split_by_lists(config: MusicConfig, tracks: Sequence[Track]) -> Split | None:
    """Split the tracks of the selected genres according to the lists of the config; return None if it has no lists.

    Raises:
      UserError: a list cannot be read, names an unknown track or one that is also in the other list, or has no track of
        one of the genres.
    """
    if not (config.train_list or config.held_out_list):
        return None
    used = {i for i, track in enumerate(tracks) if track.genre in config.genres}
    named = [
        _read_list(config.train_list, "train_list", tracks),
        _read_list(config.held_out_list, "held_out_list", tracks),
    ]
    if both := named[0] & named[1]:
        raise UserError(
            f"{tracks[min(both)].name} is in data.train_list={config.train_list} and in "
            f"data.held_out_list={config.held_out_list}: remove it from one of them"
        )
    train = named[0] if config.train_list else used - named[1]
    held_out = named[1] if config.held_out_list else used - named[0]
    split = Split(sorted(train & used), sorted(held_out & used))
    check_split(config, tracks, split)
    return split


def check_split(config: MusicConfig, tracks: Sequence[Track], split: Split) -> None:
    """Check that every genre has training tracks and, unless no track is held out, held-out tracks.

    Raises:
      UserError: a genre has no tracks of a kind.
    """
    for purpose, numbers in (("train on", split.train), ("hold out", split.held_out)):
        missing = sorted(set(config.genres) - {tracks[i].genre for i in numbers})
        if missing and (numbers or purpose == "train on"):
            raise UserError(
                f"no usable track of the genre {missing[0]!r} is left to {purpose}: change data.train_list or "
                "data.held_out_list, or leave the genre out of data.genres"
            )


def split_by_share(config: MusicConfig, tracks: Sequence[Track], usable: Iterable[int]) -> Split:
    """Hold out the last tracks of each genre, a fraction `config.held_out_share` of the usable ones.

    Args:
      config: fraction that is held out.
      tracks: all tracks.
      usable: indices of the tracks that could be read.

    Raises:
      UserError: a genre has only one usable track, and one would have to be held out.
    """
    by_genre = defaultdict(list)
    for i in sorted(usable):
        by_genre[tracks[i].genre].append(i)
    split = Split([], [])
    for genre, numbers in by_genre.items():
        held_out = max(round(config.held_out_share * len(numbers)), 1) if config.held_out_share else 0
        if held_out >= len(numbers):
            raise UserError(
                f"the genre {genre!r} has {len(numbers)} usable tracks, of which {held_out} would be held out and none "
                "left to train on: add tracks, or lower data.held_out_share (0 holds out nothing)"
            )
        split.train.extend(numbers[: len(numbers) - held_out])
        split.held_out.extend(numbers[len(numbers) - held_out :])
    return split


def example_tracks(config: MusicConfig, tracks: Sequence[Track]) -> list[int]:
    """Return the numbers of the tracks that are shown as examples: those held out, or all if none is held out.

    Raises:
      UserError: the tracks cannot be divided as the config says.
    """
    wanted = [i for i, track in enumerate(tracks) if track.genre in config.genres]
    split = split_by_lists(config, tracks) or split_by_share(config, tracks, wanted)
    return split.held_out or split.train


def _read_list(text: str, option: str, tracks: Sequence[Track]) -> set[int]:
    """Read a text file of tracks and return their numbers; the empty set if there is no file."""
    if not text:
        return set()
    path = local_path(text, f"config.data.{option}", "file")
    names = [f"{track.genre}/{track.name}" for track in tracks]
    entries = read_lines(path, "a list of tracks, one a line")
    return {number for number in find_files(entries, names, path, "tracks") if number is not None}
