"""Data sets of labeled 28x28 digits."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8

from specjax.cli.errors import UserError
from specjax.cli.paths import local_path
from specjax.data import readers
from specjax.image import linear

BUILTIN = "digits"


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
      Path of a folder with the idx files of MNIST or EMNIST.
      Path of a folder with one subfolder of pictures per label.
    labels: number of classes; labels are 0 to `labels - 1`.
    held_out: number of held-out examples, taken from the end of the training data. -1 takes the test split of the data
      set instead. If there is no test split, -1 takes the last tenth of the training data.
    """

    source: str = BUILTIN
    labels: int = 10
    held_out: int = -1

    def __post_init__(self) -> None:
        if self.labels < 1:
            raise ValueError(f"data.labels={self.labels} must be at least 1")
        if self.held_out < -1:
            raise ValueError(f"data.held_out={self.held_out} must be -1 (automatic), 0 or more")


def load(config: DigitsConfig) -> tuple[Digits, Digits]:
    """Load the training digits and the held-out digits of a data set.

    Raises:
      UserError: the source is missing, damaged, in an unknown format, or too small to split.
    """
    train, test = _load_source(config)
    if config.held_out == -1 and test is not None:
        return train, test
    count = len(train.label)
    held_out = count // 10 if config.held_out == -1 else config.held_out
    if held_out >= count:
        raise UserError(f"data.held_out={held_out} leaves nothing of {count} examples to train on: lower it")
    split = count - held_out
    return Digits(*(x[:split] for x in train)), Digits(*(x[split:] for x in train))


def _load_source(config: DigitsConfig) -> tuple[Digits, Digits | None]:
    if config.source == BUILTIN:
        return _load_builtin(config.labels), None
    if config.source.startswith("tfds:"):
        return _load_tfds(config.source.removeprefix("tfds:"), config.labels)
    folder = local_path(config.source, "config.data.source")
    readers.check_folder(folder, "idx files, or of one folder of pictures per label")
    if list(folder.glob("*idx3-ubyte*")):
        return _load_idx_folder(folder, config.labels)
    return _load_picture_folders(folder, config.labels), None


def _load_builtin(labels: int) -> Digits:
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
    return Digits(images, readers.check_labels(rows[:, -1].astype(int), len(images), labels, where))


def _load_idx_folder(folder: Path, labels: int) -> tuple[Digits, Digits | None]:
    train = sorted(p for p in folder.glob("*train-images*idx3-ubyte*"))
    test = sorted(p for p in folder.glob("*-images*idx3-ubyte*") if "t10k" in p.name or "test" in p.name)
    if not train:
        raise UserError(f"{folder} has no *train-images-idx3-ubyte[.gz]: name the folder of the training files")
    return _load_idx_pair(train[0], labels), _load_idx_pair(test[0], labels) if test else None


def _load_idx_pair(image_path: Path, labels: int) -> Digits:
    label_path = image_path.with_name(image_path.name.replace("images", "labels").replace("idx3", "idx1"))
    images = readers.check_digits(readers.read_idx(image_path, 3), image_path)
    if image_path.name.startswith("emnist"):
        images = np.ascontiguousarray(images.transpose(0, 2, 1))  # EMNIST stores its images transposed
    return Digits(images, readers.check_labels(readers.read_idx(label_path, 1), len(images), labels, label_path))


def _load_picture_folders(folder: Path, labels: int) -> Digits:
    """Load pictures from one subfolder per label, named by the label's number, and shuffle them."""
    paths = [
        (path, child.name)
        for child in sorted(folder.iterdir())
        if child.is_dir()
        for path in sorted(child.iterdir())
        if path.suffix.lower() in readers.PICTURE_SUFFIXES
    ]
    if not paths:
        raise UserError(
            f"{folder} has neither idx files nor folders of pictures ({', '.join(readers.PICTURE_SUFFIXES)}): "
            "name a folder of MNIST files, or of one folder of pictures per label"
        )
    for path, name in paths:
        if not name.isdecimal():
            raise UserError(f"{path.parent} is not named by a label 0 to {labels - 1}: rename or remove the folder")
    images = np.stack([readers.check_digits(readers.read_picture(path)[None], path)[0] for path, _ in paths])
    label = np.array([int(name) for _, name in paths])
    order = np.random.default_rng(0).permutation(len(label))  # else all held-out examples could have one label
    return Digits(images[order], readers.check_labels(label, len(images), labels, folder)[order])


def _load_tfds(name: str, labels: int) -> tuple[Digits, Digits | None]:
    import tensorflow_datasets as tfds

    def load_split(split: str) -> Digits:
        source = tfds.data_source(name, split=split)
        images = readers.check_digits(np.stack([example["image"] for example in source]), f"tfds:{name}")
        if name.startswith("emnist"):
            images = np.ascontiguousarray(images.transpose(0, 2, 1))
        label = np.array([example["label"] for example in source])
        return Digits(images, readers.check_labels(label, len(images), labels, f"tfds:{name}"))

    try:
        return load_split("train"), load_split("test")
    except (ImportError, ValueError, OSError, RuntimeError) as error:
        remedy = "prepare it once where TensorFlow is installed (pip install 'specjax[tfds]')"
        raise UserError(f"tfds:{name} cannot be read ({type(error).__name__}: {error}): {remedy}") from error
