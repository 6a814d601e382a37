"""Catalog of the works of a data source before they are read: eras, compositions, and which are held out."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from specjax.cli.errors import UserError
from specjax.cli.paths import local_path
from specjax.data.clips import audio_files
from specjax.data.file_lists import find_files, read_lines
from specjax.data.pictures import picture_files
from specjax.data.readers import check_folder, file_version, subfolders
from specjax.papers.mvnet.dataset import BUILTIN, ERAS, MuseumConfig
from specjax.papers.mvnet.museum.attributes import PICTURES


class Work(NamedTuple):
    """A work of art, before it is read: a sound file, a picture, or a synthetic clip or picture.

    Attributes:
      era: index into `eras` of the config.
      name: path within the folder `audio` or `images`, such as `baroque/fugue.0.ogg`.
      path: the file; `Path()` for a synthetic work.
      number: index of a synthetic work within its era.
      version: size in bytes and modification time of the file, to detect changes.
    """

    era: int
    name: str
    path: Path = Path()
    number: int = 0
    version: tuple[int, int] = (0, 0)


class Catalog(NamedTuple):
    """Works of a source, sorted by era and name.

    Attributes:
      sounds: sound files, or synthetic clips.
      composition: index into `compositions` for each of `sounds`.
      compositions: names of the compositions, each preceded by its era, as in `baroque/fugue`.
      sound_held_out: whether each of `sounds` is held out.
      pictures: pictures.
      picture_held_out: whether each of `pictures` is held out.
    """

    sounds: tuple[Work, ...]
    composition: tuple[int, ...]
    compositions: tuple[str, ...]
    sound_held_out: tuple[bool, ...]
    pictures: tuple[Work, ...]
    picture_held_out: tuple[bool, ...]


def resolve_eras(config: MuseumConfig) -> MuseumConfig:
    """Fill in the names of the eras from the source if `config.eras` is empty, and check them. No file is read.

    Raises:
      UserError: the source is missing or has another layout; an era has only sounds or only pictures; there are fewer
        than two eras, or one of `config.eras` is missing.
    """
    if config.source == BUILTIN:
        with_sounds = with_pictures = set(ERAS)
    else:
        folder = _source_folder(config)
        with_sounds, with_pictures = ({path.name for path in subfolders(folder / name)} for name in ("audio", "images"))
    found = with_sounds | with_pictures
    wanted = set(config.eras) or found
    if unknown := sorted(wanted - found):
        raise UserError(
            f"{config.source} has the eras {', '.join(sorted(found))}, but not {unknown[0]!r} of data.eras: use other "
            "data, or other eras"
        )
    if incomplete := sorted(wanted - (with_sounds & with_pictures)):
        present, lacking = ("audio", "images") if incomplete[0] in with_sounds else ("images", "audio")
        raise UserError(
            f"the era {incomplete[0]!r} is in {config.source}/{present} but not in {config.source}/{lacking}: add it "
            "there, or leave it out of data.eras"
        )
    if len(wanted) < 2:
        raise UserError(f"{config.source} has {len(wanted)} eras, expected at least two: add folders of eras")
    in_order = sorted(wanted, key=lambda era: (ERAS.index(era) if era in ERAS else len(ERAS), era))
    return replace(config, eras=config.eras or tuple(in_order))


def list_works(config: MuseumConfig) -> Catalog:
    """List the works of a source and split them into training and held-out works, without reading them.

    Args:
      config: the data set, with the eras filled in (see `resolve_eras`).

    Raises:
      UserError: an era has no works or too few to hold some out; a list cannot be read or names missing files; a
        composition is both for training and held out.
    """
    sounds, pictures = _list_synthetic_works(config) if config.source == BUILTIN else _list_files(config)
    names = _name_compositions(config, sounds)
    if config.train_list or config.held_out_list:
        train, held_out = _read_split(config, sounds)
        _check_leaks(sounds, names, train, held_out)
    else:
        held_out = _hold_out_last(config, [sound.era for sound in sounds], names, "compositions")
        train = set(range(len(sounds))) - held_out
    used = sorted(train | held_out)
    last_pictures = _hold_out_last(config, [w.era for w in pictures], [w.name for w in pictures], "pictures")
    compositions = sorted(set(names))
    catalog = Catalog(
        tuple(sounds[i] for i in used),
        tuple(compositions.index(names[i]) for i in used),
        tuple(compositions),
        tuple(i in held_out for i in used),
        tuple(pictures),
        tuple(i in last_pictures for i in range(len(pictures))),
    )
    check_split(config, [sound.era for sound in catalog.sounds], catalog.sound_held_out, "sound files")
    return catalog


def check_split(config: MuseumConfig, eras: Sequence[int], held_out: Sequence[bool], kind: str) -> None:
    """Check that each era has training works and held-out works.

    Args:
      config: the data set, with the eras filled in.
      eras: era of each usable work.
      held_out: whether each is held out.
      kind: what the works are, a plural, for the error message.

    Raises:
      UserError: an era has no training works or no held-out works.
    """
    present = set(zip(eras, held_out, strict=True))
    for era, name in enumerate(config.eras):
        for side, purpose in ((False, "train on"), (True, "hold out")):
            if (era, side) not in present:
                raise UserError(
                    f"no usable {kind} of the era {name!r} are left to {purpose}: change data.train_list and "
                    "data.held_out_list or data.held_out_share, or leave the era out of data.eras"
                )


def _source_folder(config: MuseumConfig) -> Path:
    folder = local_path(config.source, "config.data.source")
    for path in (folder, folder / "audio", folder / "images"):
        check_folder(path, "the subfolders audio and images" if path == folder else "one subfolder of files per era")
    return folder


def _list_synthetic_works(config: MuseumConfig) -> tuple[list[Work], list[Work]]:
    segments = config.synthetic_segments
    clips = segments * config.synthetic_compositions
    sounds, pictures = [], []
    for i, era in enumerate(config.eras):
        sounds += [Work(i, f"{era}/{k // segments:05d}.{k % segments}", number=k) for k in range(clips)]
        pictures += [Work(i, f"{era}/{k:05d}", number=k) for k in range(PICTURES * clips)]
    return sounds, pictures


def _list_files(config: MuseumConfig) -> tuple[list[Work], list[Work]]:
    folder = _source_folder(config)

    def list_files(name: str, list_folder: Callable[[Path], list[Path]]) -> list[Work]:
        return [
            Work(i, path.relative_to(folder / name).as_posix(), path, version=file_version(path))
            for i, era in enumerate(config.eras)
            for path in list_folder(folder / name / era)
        ]

    return list_files("audio", audio_files), list_files("images", picture_files)


def _name_compositions(config: MuseumConfig, sounds: Sequence[Work]) -> list[str]:
    """Return the name of the composition of each sound file, preceded by its era."""
    if config.composition_list:
        return _read_compositions(config, sounds)
    pattern = re.compile(config.composition)
    names = []
    for sound in sounds:
        file = PurePosixPath(sound.name)
        # A synthetic work has no suffix.
        stem = file.stem if sound.path != Path() else file.name
        found = pattern.fullmatch(stem)
        names.append(str(file.with_name(found.group(1) if found and found.group(1) else stem)))
    return names


def _read_compositions(config: MuseumConfig, sounds: Sequence[Work]) -> list[str]:
    path = local_path(config.composition_list, "config.data.composition_list", "file")
    lines = read_lines(path, "a list of sound files, one a line, each with a tab and the name of its composition")
    entries = [line.partition("\t") for line in lines]
    if bad := [i for i, (entry, tab, name) in enumerate(entries, 1) if entry and not (tab and name.strip())]:
        raise UserError(f"{path}, line {bad[0]} has no composition: write the name of a file, a tab, and a composition")
    files = [sound.name for sound in sounds]
    numbers = find_files([entry.strip() for entry, *_ in entries], files, path, "sound files")
    name_of = {number: name.strip() for number, (*_, name) in zip(numbers, entries, strict=True)}
    if missing := [file for i, file in enumerate(files) if i not in name_of]:
        raise UserError(f"{path} does not name {missing[0]!r}: add a line with the file, a tab, and its composition")
    return [f"{config.eras[sound.era]}/{name_of[i]}" for i, sound in enumerate(sounds)]


def _read_split(config: MuseumConfig, sounds: Sequence[Work]) -> tuple[set[int], set[int]]:
    """Return the indices of the training and of the held-out sound files, according to the lists of the config."""
    sides = []
    for option in ("train_list", "held_out_list"):
        if text := getattr(config, option):
            path = local_path(text, f"config.data.{option}", "file")
            entries = read_lines(path, "a list of sound files, one a line")
            numbers = find_files(entries, [sound.name for sound in sounds], path, "sound files")
            sides.append({number for number in numbers if number is not None})
        else:
            sides.append(set())
    everything = set(range(len(sounds)))
    train = sides[0] if config.train_list else everything - sides[1]
    return train, sides[1] if config.held_out_list else everything - sides[0]


def _check_leaks(sounds: Sequence[Work], names: Sequence[str], train: set[int], held_out: set[int]) -> None:
    """Check that no composition is both trained on and held out.

    Raises:
      UserError: one is both.
    """
    trained = {names[i]: sounds[i].name for i in sorted(train)}
    for i in sorted(held_out):
        if names[i] in trained:
            raise UserError(
                f"the composition {names[i]!r} is both to train on ({trained[names[i]]}) and held out "
                f"({sounds[i].name}): put all its files on one side, or correct data.composition"
            )


def _hold_out_last(config: MuseumConfig, eras: Sequence[int], names: Sequence[str], kind: str) -> set[int]:
    """Return the indices of the works to hold out: in each era, those with the last names in alphabetical order.

    A fraction `held_out_share` of the names is held out. Neighbors in a folder are often by the same artist, so
    held-out works are mostly by artists that are not in the training set.

    Raises:
      UserError: an era has only one name.
    """
    held_out = set()
    for era, title in enumerate(config.eras):
        numbers = [i for i, other in enumerate(eras) if other == era]
        ordered = sorted({names[i] for i in numbers})
        count = max(round(config.held_out_share * len(ordered)), 1)
        if count >= len(ordered):
            raise UserError(
                f"the era {title!r} has {len(ordered)} {kind}, of which {count} would be held out and none left to "
                "train on: add some, or lower data.held_out_share"
            )
        last = set(ordered[-count:])
        held_out |= {i for i in numbers if names[i] in last}
    return held_out
