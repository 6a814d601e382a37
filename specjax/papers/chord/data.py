"""Data sets of labeled 28x28 digits."""

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8

from specjax.cli.errors import UserError
from specjax.cli.paths import local_path
from specjax.data import readers
from specjax.image import linear
from specjax.papers.chord.drawings import fit_digit

BUILTIN = "digits"
DARK_ON_BRIGHT = 191  # gray level of the background above which pictures are drawn with dark ink on paper
AUTOMATIC = -1  # value of `DigitsConfig.held_out`

_log = logging.getLogger("specjax")


class Digits(NamedTuple):
    """Labeled digits. The images are upright, with bright ink on black."""

    image: UInt8[np.ndarray, "n 28 28"]
    label: Int32[np.ndarray, " n"]


@dataclass(frozen=True)
class DigitsConfig:
    """Choice of the data set of digits.

    source: one of the following.
      `digits`: the 1,797 handwritten 8x8 digits of scikit-learn, resized to 28x28.
      `tfds:NAME`: the data set NAME of TensorFlow Datasets.
      Path of a folder with the idx files of MNIST or EMNIST, or of the file of training images if there are several.
      Path of a folder with one subfolder of pictures per label.
    labels: number of classes; labels are 0 to `labels - 1`.
    classes: names of the labels in the data set, in order; filled in by `resolve`. Empty if they are the numbers
      themselves.
    fit: whether pictures are drawings or photographs of any size, to be converted by `drawings.fit_digit`. If false,
      they must be 28x28 with bright ink on black.
    held_out: number of held-out examples, taken from the end of the training data. -1 takes the test split of the data
      set instead. If there is no test split, -1 takes the last tenth of the training data.
    """

    source: str = BUILTIN
    labels: int = 10
    held_out: int = AUTOMATIC
    classes: tuple[str, ...] = ()
    fit: bool = False

    def __post_init__(self) -> None:
        if self.labels < 1:
            raise ValueError(f"data.labels={self.labels} must be at least 1")
        if self.held_out < AUTOMATIC:
            raise ValueError(f"data.held_out={self.held_out} must be -1 (automatic), 0 or more")

    def for_evaluation(self, source: str) -> "DigitsConfig":
        """Return settings that hold out the test split of another source or, if it has none, all its examples."""
        return _EvaluationConfig(**asdict(self) | {"source": source, "held_out": AUTOMATIC})


class _EvaluationConfig(DigitsConfig):
    """Choice of a data set that holds out all its examples if it has no test split."""


def resolve(config: DigitsConfig) -> DigitsConfig:
    """Fill in the names of the classes, if they are other names or numbers than 0 to `labels - 1`.

    Raises:
      UserError: the source is missing, its labels cannot be read, or the number of named classes is not `labels`.
    """
    if config.classes:
        _check_count(config.classes, config.labels, "data.classes")
        return config
    if config.source == BUILTIN or config.source.startswith("tfds:"):
        return config
    source = _check_source(config.source)
    if _is_idx(source):
        names = [str(label) for label in np.unique(readers.read_idx(_label_path(_find_idx_files(source)[0]), 1))]
    else:
        names = [child.name for child in readers.subfolders(source)]
    if all(name.isdecimal() and int(name) < config.labels for name in names):
        return config
    names.sort(key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    _check_count(names, config.labels, source)
    return replace(config, classes=tuple(names))


def _check_count(classes: Sequence[str], labels: int, where: str | Path) -> None:
    """Check that each label has one class, else a network could predict labels without a name."""
    if len(classes) != labels:
        noun, more = "class" if len(classes) == 1 else "classes", " ..." if len(classes) > 5 else ""
        raise UserError(
            f"{where} has {len(classes)} {noun}, {', '.join(classes[:5])}{more}, but data.labels={labels}: set "
            f"data.labels and model.labels to {len(classes)}"
        )


def read_digit(path: Path, fit: bool) -> UInt8[np.ndarray, "28 28"]:
    """Read an image file of a digit.

    Args:
      path: image file.
      fit: whether to convert it by `drawings.fit_digit`. If false, it must be 28x28 with bright ink on black.

    Raises:
      UserError: the file is not a readable image, or not of a digit.
    """
    picture = readers.read_picture(path)
    return fit_digit(picture, path) if fit else readers.check_digits(picture[None], path)[0]


def load(config: DigitsConfig) -> tuple[Digits, Digits]:
    """Load the training digits and the held-out digits of a data set.

    Raises:
      UserError: the source is missing, damaged, in an unknown format, or too small to split.
    """
    train, test = _load_source(config)
    if np.median(train.image[:, [0, -1]]) > DARK_ON_BRIGHT:
        raise UserError(
            f"{config.source}: the pictures have a bright background, expected bright ink on black: invert them, or "
            "for a folder of pictures set data.fit=true"
        )
    if config.held_out == AUTOMATIC and test is not None:
        return train, test
    count = len(train.label)
    if isinstance(config, _EvaluationConfig):
        _log.warning(
            "%s has no test split: all its %d examples are measured, which must not be those of the training",
            config.source, count,
        )  # fmt: skip
        return Digits(*(x[:0] for x in train)), train
    held_out = count // 10 if config.held_out == AUTOMATIC else config.held_out
    if held_out >= count:
        raise UserError(f"data.held_out={held_out} leaves nothing of {count} examples to train on: lower it")
    split = count - held_out
    return Digits(*(x[:split] for x in train)), Digits(*(x[split:] for x in train))


def _load_source(config: DigitsConfig) -> tuple[Digits, Digits | None]:
    if config.source == BUILTIN:
        return _load_builtin(config), None
    if config.source.startswith("tfds:"):
        return _load_tfds(config.source.removeprefix("tfds:"), config)
    source = _check_source(config.source)
    if not _is_idx(source):
        return _load_picture_folders(source, config), None
    train, test = _find_idx_files(source)
    return _load_idx_pair(train, config), _load_idx_pair(test, config) if test else None


def _check_source(name: str) -> Path:
    source = local_path(name, "config.data.source")
    if not _is_idx(source):
        readers.check_folder(source, "idx files, or of one folder of pictures per label")
    return source


def _is_idx(source: Path) -> bool:
    """Return whether a path is an idx file of images, or a folder that contains one."""
    return "idx3-ubyte" in source.name if source.is_file() else any(source.glob("*idx3-ubyte*"))


def _load_builtin(config: DigitsConfig) -> Digits:
    where = "scikit-learn's digits"
    # Importing scikit-learn takes longer than the rest of the start-up, so its data file is read directly.
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise UserError(f"{where} are not installed: pip install scikit-learn, or name another data.source")
    path = Path(package.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    readers.check_regular_file(path)
    rows = np.loadtxt(path, delimiter=",")
    # As in MNIST, the ink fills 20x20 of the 28x28 pixels.
    enlarge = linear.resample_matrix(8, 20, "cubic")
    images = np.clip(enlarge @ (rows[:, :-1].reshape(-1, 8, 8) / 16.0) @ enlarge.T, 0.0, 1.0)
    images = readers.check_digits(np.pad(images, ((0, 0), (4, 4), (4, 4))), where)
    return Digits(images, _to_labels(rows[:, -1].astype(int), len(images), config, where))


def _find_idx_files(source: Path) -> tuple[Path, Path | None]:
    """Find the training images of MNIST or EMNIST, and the test images of the same set if there are any.

    Args:
      source: file of training images, or a folder that contains one. Some archives also have folders named like the
        files, and macOS adds hidden files.
    """
    train = source
    if source.is_dir():
        found = [p for p in sorted(source.glob("*train-images*idx3-ubyte*")) if p.is_file() and p.name[0] != "."]
        sets = {path.name.removesuffix(".gz"): path for path in found}
        if not sets:
            raise UserError(f"{source} has no *train-images-idx3-ubyte[.gz]: name the folder of the training files")
        if len(sets) > 1:
            raise UserError(f"{source} has several data sets: name one of the files as data.source: {', '.join(sets)}")
        (train,) = sets.values()
    name = train.name.removesuffix(".gz")
    test = [
        train.with_name(name.replace("train", part) + suffix) for part in ("t10k", "test") for suffix in (".gz", "")
    ]
    return train, next((path for path in test if path.is_file()), None)


def _label_path(images: Path) -> Path:
    """Return the file of the labels that belong to a file of images. Only one of them may be compressed."""
    path = images.with_name(images.name.replace("images", "labels").replace("idx3", "idx1"))
    other = path.with_suffix("") if path.suffix == ".gz" else path.with_name(f"{path.name}.gz")
    return other if other.is_file() and not path.is_file() else path


def _load_idx_pair(image_path: Path, config: DigitsConfig) -> Digits:
    images = readers.check_digits(readers.read_idx(image_path, 3), image_path)
    if image_path.name.startswith("emnist"):
        images = np.ascontiguousarray(images.transpose(0, 2, 1))  # EMNIST stores its images transposed
    path = _label_path(image_path)
    return Digits(images, _to_labels(readers.read_idx(path, 1), len(images), config, path))


def _to_labels(numbers: np.ndarray, count: int, config: DigitsConfig, where: str | Path) -> Int32[np.ndarray, " n"]:
    """Convert the numbers that a data set gives to the classes of `count` images to labels."""
    if config.classes:
        numbers = np.array([_class_index(str(number), config, where) for number in numbers])
    return readers.check_labels(numbers, count, config.labels, where)


def _class_index(name: str, config: DigitsConfig, where: str | Path) -> int:
    """Return the label of a class by its name in the data set."""
    if name in config.classes:
        return config.classes.index(name)
    if config.classes or not name.isdecimal():
        expected = ", ".join(config.classes) or f"a label 0 to {config.labels - 1}"
        raise UserError(
            f"{where}: the class {name!r} is unknown, expected {expected}: rename or remove it, or name other data"
        )
    return int(name)


def _load_picture_folders(folder: Path, config: DigitsConfig) -> Digits:
    """Load pictures from one subfolder per class, named by the class, and shuffle them."""
    paths = [
        path
        for child in readers.subfolders(folder)
        for path in sorted(child.iterdir())
        if path.suffix.lower() in readers.PICTURE_SUFFIXES and path.name[0] != "."
    ]
    if not paths:
        raise UserError(
            f"{folder} has neither idx files nor folders of pictures ({', '.join(readers.PICTURE_SUFFIXES)}): "
            "name a folder of MNIST files, or of one folder of pictures per label"
        )
    label = np.array([_class_index(path.parent.name, config, path.parent) for path in paths])
    images = np.stack([read_digit(path, config.fit) for path in paths])
    order = np.random.default_rng(0).permutation(len(label))  # else all held-out examples could have one label
    return Digits(images[order], readers.check_labels(label, len(images), config.labels, folder)[order])


def _load_tfds(name: str, config: DigitsConfig) -> tuple[Digits, Digits | None]:
    import tensorflow_datasets as tfds

    def load_split(split: str) -> Digits:
        source = tfds.data_source(name, split=split)
        images = readers.check_digits(np.stack([example["image"] for example in source]), f"tfds:{name}")
        if name.startswith("emnist"):
            images = np.ascontiguousarray(images.transpose(0, 2, 1))
        label = np.array([example["label"] for example in source])
        return Digits(images, _to_labels(label, len(images), config, f"tfds:{name}"))

    try:
        return load_split("train"), load_split("test")
    except (ImportError, ValueError, OSError, RuntimeError) as error:
        remedy = "prepare it once where TensorFlow is installed (pip install 'specjax[tfds]')"
        raise UserError(f"tfds:{name} cannot be read ({type(error).__name__}: {error}): {remedy}") from error
