"""Inference with a trained classifier: the classes of a sound, with their probabilities."""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from specjax.cli.errors import UserError
from specjax.engine import bundle
from specjax.engine.bundle import Bundle
from specjax.papers.texture.config import ClassifierConfig
from specjax.papers.texture.data import read_clip
from specjax.papers.texture.model import Classifier, Logits, ModelConfig
from specjax.papers.texture.representation import Representation
from specjax.papers.texture.style.wyse import TOP


@dataclass(frozen=True)
class ClassifierInference:
    """Methods that use a classifier. The network's variables are not stored here: methods take them as an argument.

    config: settings of the data, the spectrograms and the network, with the names of the classes filled in.
    """

    config: ClassifierConfig

    @cached_property
    def network(self) -> Classifier:
        """The network."""
        return Classifier(self.config.model, len(self.config.data.classes))

    @property
    def levels_shape(self) -> tuple[int, int]:
        """Shape (rows, frames) of a spectrogram."""
        representation = self.config.representation
        return len(representation.row_hz), representation.frames(self.samples)

    @property
    def samples(self) -> int:
        """Length of a sound in samples."""
        return round(self.config.data.duration_s * self.config.representation.sample_rate)

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Initialize the variables of the network: `params`, and `batch_stats` if it has batch normalization."""
        return dict(self.network.init({"params": key}, jnp.zeros((1, *self.levels_shape))))

    def predict(self, variables: Any, levels: Float[Array, "batch rows frames"]) -> Logits:
        """Compute the logits of spectrograms, averaged over `config.views` cyclic shifts along time."""
        views, frames = self.config.views, levels.shape[-1]
        shifts = [jnp.roll(levels, v * frames // views, axis=-1) for v in range(views)]
        logits = [self.network.apply(variables, shifted) for shifted in shifts]
        return jax.tree.map(lambda *x: sum(x) / views, *logits)

    def probabilities(self, label_logits: Float[Array, "batch classes"]) -> Float[Array, "batch classes"]:
        """Convert logits to probabilities. With the loss `sigmoid` they are independent; otherwise they add up to 1."""
        if self.config.loss == "sigmoid":
            return jax.nn.sigmoid(label_logits)
        return jax.nn.softmax(label_logits)


def check_convolutions(config: ClassifierConfig, where: str) -> None:
    """Check that style transfer can use the convolutions of a classifier.

    Args:
      config: settings of the classifier.
      where: source of the settings, for error messages.

    Raises:
      UserError: the network or its spectrograms are not the paper's, with frequency bins as channels.
    """
    model, paper = config.model, ModelConfig()
    shape = (model.layout, model.architecture, len(model.widths), model.kernel_frames)
    if shape != (paper.layout, paper.architecture, len(paper.widths), paper.kernel_frames):
        raise UserError(
            f"{where} is a network of layout {model.layout!r} and architecture {model.architecture!r} with "
            f"{len(model.widths)} convolutions of {model.kernel_frames} frames, expected {paper.layout!r} and "
            f"{paper.architecture!r} with {len(paper.widths)} of {paper.kernel_frames}: use --config=classifier"
        )
    if config.representation != Representation():
        raise UserError(
            f"{where} has other spectrograms than the paper's ({config.representation}): use --config=classifier"
        )


def convolutions(inference: ClassifierInference, variables: Any, where: str) -> dict[str, Any]:
    """Return the two convolutions of a trained network, for style transfer (section 2 of the paper).

    The network was trained on levels from 0 to 1; style transfer uses 0 to 255, as the author's code does. The biases
    are multiplied by 255, so that all activations are 255 times those of the trained network.

    Args:
      inference: inference functions of the network.
      variables: variables of the network.
      where: the folder of the exported model, for error messages.

    Raises:
      UserError: the network or its spectrograms are not the paper's, with frequency bins as channels.
    """
    check_convolutions(inference.config, where)
    layers = {name: variables["params"][name] for name in ("conv1", "conv2")}
    return {name: {"kernel": layer["kernel"], "bias": TOP * layer["bias"]} for name, layer in layers.items()}


class Guess(NamedTuple):
    """A class and its probability."""

    class_name: str
    probability: float


def open_classifier(opened: Bundle, where: str) -> tuple[ClassifierInference, Any]:
    """Prepare a bundle of the task `texture/classifier` for inference, see `bundle.open_part`.

    Returns:
      The description of the network, and its variables.

    Raises:
      UserError: the bundle has another part than `classifier`, invalid settings, or tensors that do not fit.
    """

    def make_inference(config: ClassifierConfig) -> ClassifierInference:
        if not config.data.classes:
            raise UserError(f"{where}: config names no classes; re-export the bundle")
        return ClassifierInference(config)

    return bundle.open_part(opened, where, "classifier", ClassifierConfig, make_inference, ClassifierInference.init)


def classify(inference: ClassifierInference, variables: Any, path: Path, top: int = 5) -> list[Guess]:
    """Classify a sound file.

    Args:
      inference: inference functions of the network.
      variables: variables of the network.
      path: sound file of any duration and sample rate; it is cut to the duration of the training sounds.
      top: number of classes to return.

    Returns:
      The most probable classes, most probable first.

    Raises:
      UserError: the file cannot be used.
    """
    wave = read_clip(path, inference.config.data, inference.config.representation)
    probability = np.asarray(_probabilities(inference, variables, jnp.asarray(wave[None])))[0]
    order = np.argsort(-probability, kind="stable")[:top]
    return [Guess(inference.config.data.classes[i], float(probability[i])) for i in order]


@partial(jax.jit, static_argnames="inference")
def _probabilities(inference: ClassifierInference, variables: Any, wave: Float[Array, "1 samples"]) -> Array:
    levels = inference.config.representation.encode(wave)
    return inference.probabilities(inference.predict(variables, levels).label)
