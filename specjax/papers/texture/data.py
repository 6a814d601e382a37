"""Data sets of labeled environmental sounds, and their spectrograms."""

import csv
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Int32

from specjax.arrays.axes import pad_axis
from specjax.cli.errors import UserError
from specjax.cli.paths import local_path
from specjax.data.audio import fit_length, read_audio
from specjax.data.clips import check_memory
from specjax.data.labeled_sounds import TFDS, class_files, open_tfds
from specjax.data.readers import check_folder, check_regular_file
from specjax.papers.texture import sounds
from specjax.papers.texture.representation import Representation

BUILTIN = "synthetic"
FOLDS = 5  # as in ESC-50; other sources are divided into the same number
_META = Path("meta", "esc50.csv")
_BLOCK = 32  # sounds that are read and transformed per block

_log = logging.getLogger("specjax")

Indices = Int[np.ndarray, " _"]
Waves = Float[Array | np.ndarray, "chosen samples"]
ReadWaves = Callable[[Indices], Waves]


class Sounds(NamedTuple):
    """Spectrograms of labeled sounds.

    Attributes:
      levels: levels in [0, 1], with the highest frequency in row 0.
      label: index of each sound's class.
      centroid_class: class of each sound's spectral centroid; classes are in ascending order of frequency.
    """

    levels: Float32[np.ndarray, "n rows frames"]
    label: Int32[np.ndarray, " n"]
    centroid_class: Int32[np.ndarray, " n"]


@dataclass(frozen=True)
class SoundsConfig:
    """Settings of the data set of sounds: its source, its classes and its folds.

    A data set is divided into folds, numbered from 1. ESC-50 and ESC-10 define five folds. In other data sets, fold i
    consists of every fifth sound of each class.

    source: one of the following.
      `synthetic`: ten classes of environmental sounds, generated from random numbers.
      `tfds:NAME`: the data set NAME of TensorFlow Datasets, with sounds and labels.
      Path of a folder in the layout of ESC-50: `audio/` and `meta/esc50.csv`.
      Path of a folder with one subfolder of sound files per class.
    classes: names of the classes, in the order of the network's outputs. Every class of the source must be among them.
      Empty means those of the source, sorted by name.
    held_out_folds: folds to evaluate on.
    train_folds: folds to train on; empty means all others.
    duration_s: duration of every sound in seconds. Longer sounds are cut at the end, shorter ones are padded with
      silence.
    synthetic_clips: number of sounds per class of the source `synthetic`.
    """

    source: str = BUILTIN
    classes: tuple[str, ...] = ()
    held_out_folds: tuple[int, ...] = (5,)
    train_folds: tuple[int, ...] = ()
    duration_s: float = 5.0
    synthetic_clips: int = 40

    def __post_init__(self) -> None:
        if not 0 < self.duration_s <= 600:
            raise ValueError(f"data.duration_s={self.duration_s} must be above 0 and at most 600")
        if self.synthetic_clips < FOLDS:
            raise ValueError(f"data.synthetic_clips={self.synthetic_clips} must be at least {FOLDS}")
        if repeated := set(self.held_out_folds) & set(self.train_folds):
            raise ValueError(f"data: fold {min(repeated)} is in held_out_folds and in train_folds: remove it from one")


class _Entry(NamedTuple):
    """One sound of a data set.

    path: its file. For a synthetic sound, a name that ends in its index, from which its random key is derived.
    class_name: name of its class.
    fold: number of its fold, from 1.
    """

    path: Path
    class_name: str
    fold: int


def resolve_classes(config: SoundsConfig) -> SoundsConfig:
    """Fill in the names of the classes from the source, if `config.classes` is empty. No sound is read.

    Raises:
      UserError: the source is missing or has another layout.
    """
    if config.classes:
        return config
    if config.source.startswith(TFDS):
        return replace(config, classes=tuple(open_tfds(config.source).class_names))
    return replace(config, classes=tuple(sorted({entry.class_name for entry in _list_sounds(config)})))


def fold_numbers(config: SoundsConfig) -> list[int]:
    """Return the numbers of the folds of a data set, sorted. No sound is read.

    Raises:
      UserError: the source is missing or has another layout.
    """
    if config.source.startswith(TFDS):
        return list(range(1, FOLDS + 1))
    return sorted({entry.fold for entry in _list_sounds(config)})


def load(config: SoundsConfig, representation: Representation, centroid_classes: int) -> tuple[Sounds, Sounds]:
    """Load the training sounds and the held-out sounds of a data set, and compute their spectrograms.

    The sounds are read and transformed in blocks, and both results are views of one array. So the spectrograms are in
    memory only once (1.6 GiB for 2,000 sounds of 257 x 856), and all waves only for `tfds:`.

    Args:
      config: source, with `classes` filled in (see `resolve_classes`).
      representation: how spectrograms are computed.
      centroid_classes: number of classes of the spectral centroid. Their boundaries are quantiles, so that every class
        has the same number of training sounds.

    Raises:
      UserError: the source is missing, damaged or has another layout; it has a class that is not in `config.classes`,
        or no training sounds; the spectrograms need more than half of the available memory.
    """
    if config.source.startswith(TFDS):
        waves, label, fold = _read_tfds(config, representation)
        read: ReadWaves = waves.__getitem__
    else:
        entries = _list_sounds(config)
        label = _labels([entry.class_name for entry in entries], config)
        fold = np.array([entry.fold for entry in entries])
        read = partial(_read_waves, entries, config, representation)
    train, held_out = _divide(fold, config)
    order = np.concatenate([train, held_out])
    levels, centroid_hz = _transform(read, order, config, representation)
    limits = np.quantile(centroid_hz[: len(train)], np.arange(1, max(centroid_classes, 1)) / max(centroid_classes, 1))
    centroid_class = np.searchsorted(limits, centroid_hz, side="right").astype(np.int32)
    examples = Sounds(levels, label[order], centroid_class)
    return Sounds(*(x[: len(train)] for x in examples)), Sounds(*(x[len(train) :] for x in examples))


def read_clip(path: Path, config: SoundsConfig, representation: Representation) -> Float[np.ndarray, " samples"]:
    """Read a sound file as a wave of the duration and sample rate that a classifier was trained on.

    Raises:
      UserError: the file cannot be used.
    """
    rate = representation.sample_rate
    return fit_length(read_audio(path, rate)[0], round(config.duration_s * rate), short="pad")


def _labels(class_names: Sequence[str], config: SoundsConfig) -> Int32[np.ndarray, " n"]:
    index = {name: i for i, name in enumerate(config.classes)}
    if unknown := sorted(set(class_names) - index.keys()):
        raise UserError(
            f"{config.source} has sounds of the class {unknown[0]!r}, which is not among the classes that are trained: "
            f"{', '.join(config.classes)}; use other data, or train again"
        )
    return np.array([index[name] for name in class_names], np.int32)


def _list_sounds(config: SoundsConfig) -> list[_Entry]:
    """List the sounds of a source with their classes and folds, without reading them."""
    if config.source == BUILTIN:
        clips = config.synthetic_clips
        return [
            _Entry(Path(name, str(c * clips + i)), name, i % FOLDS + 1)
            for c, name in enumerate(sounds.CLASSES)
            for i in range(clips)
        ]
    folder = local_path(config.source, "config.data.source")
    check_folder(folder, f"sound files in the layout of ESC-50 (audio/ and {_META}), or one subfolder per class")
    return _list_esc(folder) if (folder / _META).exists() else _list_class_folders(folder)


def _list_esc(folder: Path) -> list[_Entry]:
    path = folder / _META
    check_regular_file(path)
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        entries = [_Entry(folder / "audio" / row["filename"], row["category"], int(row["fold"])) for row in rows]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UserError(
            f"{path} is not a table with the columns filename, fold and category ({error}): get the file again"
        ) from error
    if not entries:
        raise UserError(f"{path} lists no sounds: get the file again")
    for number, entry in enumerate(entries, 2):
        if not entry.path.is_file():
            raise UserError(
                f"{path}, line {number} names {entry.path.name}, which is not in {folder / 'audio'}: get the file, or "
                "remove the line"
            )
    return entries


def _list_class_folders(folder: Path) -> list[_Entry]:
    entries = []
    for name, files in class_files(folder).items():
        # The order within a class is random: neighbors in a folder are often excerpts of one recording.
        order = np.random.default_rng(0).permutation(len(files))
        entries += [_Entry(files[j], name, i % FOLDS + 1) for i, j in enumerate(order)]
    if not entries:
        raise UserError(
            f"{folder} has neither {_META} nor subfolders: name a folder in the layout of ESC-50, or one with a "
            "subfolder of sound files per class"
        )
    return entries


def _divide(fold: Int[np.ndarray, " n"], config: SoundsConfig) -> tuple[Indices, Indices]:
    """Return the indices of the training sounds and of the held-out sounds."""
    held_out = np.isin(fold, config.held_out_folds)
    train = np.isin(fold, config.train_folds) if config.train_folds else ~held_out
    if not held_out.any() and config.held_out_folds:
        raise UserError(
            f"{config.source} has the folds {sorted(set(fold.tolist()))}, of which none is in "
            f"data.held_out_folds={config.held_out_folds}: name one of them, or () to hold out nothing"
        )
    if not train.any():
        raise UserError(
            f"{config.source} has the folds {sorted(set(fold.tolist()))}, of which none is left to train on: change "
            "data.held_out_folds or data.train_folds"
        )
    return np.flatnonzero(train), np.flatnonzero(held_out)


def _read_waves(
    entries: Sequence[_Entry], config: SoundsConfig, representation: Representation, indices: Indices
) -> Waves:
    rate, chosen = representation.sample_rate, [entries[i] for i in indices]
    if config.source != BUILTIN:
        return np.stack([read_clip(entry.path, config, representation) for entry in chosen])
    numbers = np.array([int(entry.path.name) for entry in chosen])
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), numbers)
    classes = jnp.array([sounds.CLASSES.index(entry.class_name) for entry in chosen])
    return sounds.synthesize(keys, classes, rate, config.duration_s)


def _transform(
    read: ReadWaves, order: Indices, config: SoundsConfig, representation: Representation
) -> tuple[Float32[np.ndarray, "n rows frames"], Float[np.ndarray, " n"]]:
    """Read sounds in blocks, in a given order, and compute their spectrograms and spectral centroids (in Hz).

    Raises:
      UserError: a sound cannot be used, or the spectrograms need more than half of the available memory.
    """
    encode = jax.jit(lambda wave: (representation.encode(wave), representation.centroid_hz(wave)))
    frames = representation.frames(round(config.duration_s * representation.sample_rate))
    shape = len(order), len(representation.row_hz), frames
    check_memory(
        math.prod(shape) * np.dtype(np.float32).itemsize,
        f"spectrograms of {len(order)} sounds",
        "use a longer representation.hop_length, a shorter data.duration_s or fewer sounds",
    )
    levels = np.empty(shape, np.float32)
    centroid_hz = np.empty(len(order), np.float32)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        wave = jnp.asarray(read(block))
        # The last block is padded, so that one compiled program serves all.
        results = encode(pad_axis(wave, 0, _BLOCK - len(block), axis=0))
        stop = start + len(block)
        levels[start:stop], centroid_hz[start:stop] = (np.asarray(x)[: len(block)] for x in results)
        if stop % (16 * _BLOCK) == 0:
            _log.info("spectrograms of %d of %d sounds", stop, len(order))
    return levels, centroid_hz


def _read_tfds(
    config: SoundsConfig, representation: Representation
) -> tuple[Float[np.ndarray, "n samples"], Int32[np.ndarray, " n"], np.ndarray]:
    opened, rate = open_tfds(config.source), representation.sample_rate
    samples = round(config.duration_s * rate)
    waves, class_names = zip(
        *((fit_length(opened.wave(x, rate), samples, short="pad"), opened.class_name(x)) for x in opened.examples),
        strict=True,
    )
    label = _labels(class_names, config)
    fold = np.empty(len(label), int)
    for value in np.unique(label):
        chosen = np.flatnonzero(label == value)
        fold[chosen] = np.arange(len(chosen)) % FOLDS + 1
    return np.stack(waves), label, fold
