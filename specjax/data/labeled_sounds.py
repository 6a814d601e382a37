"""Sources of labeled sounds: folders with one subfolder per class, and data sets of TensorFlow Datasets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from specjax.cli.errors import UserError
from specjax.data.audio import resample
from specjax.data.clips import audio_files
from specjax.data.readers import subfolders

TFDS = "tfds:"  # prefix of the names of data sets of TensorFlow Datasets


class TfdsSounds(NamedTuple):
    """Data set of TensorFlow Datasets that has sounds and labels.

    Attributes:
      examples: examples in a fixed order. Each has the entries `audio`, the samples, and `label`, an index into
        `class_names`.
      class_names: names of the classes.
      sample_rate: sample rate of the sounds in Hz.
    """

    examples: Sequence[dict[str, Any]]
    class_names: list[str]
    sample_rate: int

    def wave(self, example: dict[str, Any], sample_rate: int) -> Float[np.ndarray, " samples"]:
        """Return the sound of an example as a wave with samples in about [-1, 1], resampled to `sample_rate` (in Hz).

        Integer samples are taken to be of 16 bits.
        """
        audio = np.asarray(example["audio"])
        scale = np.float32(2**15) if np.issubdtype(audio.dtype, np.integer) else np.float32(1)
        return resample(audio.astype(np.float32) / scale, self.sample_rate, sample_rate)

    def class_name(self, example: dict[str, Any]) -> str:
        """Return the name of the class of an example."""
        return self.class_names[int(example["label"])]


def open_tfds(source: str) -> TfdsSounds:
    """Open the training split of a data set of TensorFlow Datasets, without reading a sound.

    Args:
      source: name of the data set after the prefix `tfds:`, such as `tfds:gtzan`.

    Raises:
      UserError: the data set is unknown, is not prepared on this computer, or has no sounds with labels.
    """
    name = source.removeprefix(TFDS)
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder(name)
        examples = builder.as_data_source(split="train")
        features = builder.info.features
        return TfdsSounds(examples, features["label"].names, features["audio"].sample_rate)
    except (ImportError, ValueError, OSError, RuntimeError, KeyError, AttributeError) as error:
        remedy = "prepare it once where TensorFlow is installed (pip install 'specjax[tfds]')"
        raise UserError(
            f"{source} cannot be read as labeled sounds ({type(error).__name__}: {error}): {remedy}"
        ) from error


def class_files(folder: Path) -> dict[str, list[Path]]:
    """List the sound files of each class, for a folder with one subfolder per class.

    Returns:
      The files in each subfolder and its own subfolders, sorted by path, by the name of the subfolder (sorted). It is
      empty if there are no subfolders.

    Raises:
      UserError: a subfolder is not readable or contains no sound files.
    """
    return {child.name: audio_files(child) for child in subfolders(folder)}
