"""Classifiers of sounds: spectrograms in, classes out (section 3 of the paper).

In the layout `channels`, each frequency bin is an input channel and convolutions run over time only. In the layout
`image`, a spectrogram is an image of one channel, and convolutions run over frequency and time.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.nn.time_conv import TimeConv

_PAPER_INIT = nn.initializers.truncated_normal(0.1)
_PAPER_BIAS = nn.initializers.constant(0.1)


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of a classifier. The defaults are those of the paper: 3,729,634 parameters with 50 classes.

    layout: `channels` or `image`, see the module.
    widths: number of channels of the two convolutions.
    kernel_rows: height of the kernels in rows, for the layout `image`.
    kernel_frames: width of the kernels in frames.
    hidden: number of units of the fully connected layer.
    dropout: dropout rate of its input during training.
    centroid_classes: number of classes of the second task, which names the spectral centroid of the sound; 0 leaves the
      second task out.
    """

    layout: Literal["channels", "image"] = "channels"
    widths: tuple[int, int] = (2048, 64)
    kernel_rows: int = 9
    kernel_frames: int = 5
    hidden: int = 32
    dropout: float = 0.5
    centroid_classes: int = 16

    def __post_init__(self) -> None:
        if self.layout not in ("channels", "image"):
            raise ValueError(f"model.layout={self.layout!r} is unknown: choose channels or image")
        if min(*self.widths, self.kernel_rows, self.kernel_frames, self.hidden) < 1:
            raise ValueError("model.widths, kernel_rows, kernel_frames and hidden must be at least 1")
        if not 0 <= self.dropout < 1 or self.centroid_classes < 0:
            raise ValueError(
                f"model.dropout={self.dropout} must lie in [0, 1), centroid_classes={self.centroid_classes} must be at "
                "least 0"
            )


class Logits(NamedTuple):
    """Outputs of a classifier.

    Attributes:
      label: logits of the classes.
      centroid: logits of the classes of the spectral centroid; no columns without the second task.
    """

    label: Float[Array, "batch classes"]
    centroid: Float[Array, "batch centroid_classes"]


class Classifier(nn.Module):
    """Network of the paper: two convolutions with max pooling, a fully connected layer, and one or two outputs.

    Training needs the Flax RNG stream `dropout`.

    Attributes:
      config: architecture.
      classes: number of classes.
    """

    config: ModelConfig
    classes: int

    @nn.compact
    def __call__(self, levels: Float[Array, "batch rows frames"], training: bool = False) -> Logits:
        """Compute the logits of spectrograms.

        Args:
          levels: spectrograms with levels in [0, 1].
          training: whether to apply dropout.
        """
        c = self.config
        features = self._convolve_channels(levels) if c.layout == "channels" else self._convolve_image(levels)
        x = features.reshape(len(features), -1)
        x = nn.Dropout(c.dropout, deterministic=not training)(x)
        x = nn.relu(self._dense(c.hidden, "hidden")(x))
        label = self._dense(self.classes, "label")(x)
        if not c.centroid_classes:
            return Logits(label, jnp.zeros((len(x), 0)))
        return Logits(label, self._dense(c.centroid_classes, "centroid")(x))

    def _convolve_channels(self, levels: Array) -> Array:
        x = jnp.swapaxes(levels, 1, 2)
        for i, width in enumerate(self.config.widths, 1):
            x = TimeConv(width, self.config.kernel_frames, _PAPER_INIT, _PAPER_BIAS, name=f"conv{i}")(x)
            x = nn.relu(nn.max_pool(x, (2,), (2,)))
        return x

    def _convolve_image(self, levels: Array) -> Array:
        c = self.config
        x = levels[..., None]
        for i, width in enumerate(c.widths, 1):
            x = nn.Conv(
                width, (c.kernel_rows, c.kernel_frames), kernel_init=_PAPER_INIT, bias_init=_PAPER_BIAS, name=f"conv{i}"
            )(x)
            x = nn.relu(nn.max_pool(x, (2, 2), (2, 2)))
        return x

    def _dense(self, units: int, name: str) -> nn.Dense:
        return nn.Dense(units, kernel_init=_PAPER_INIT, bias_init=_PAPER_BIAS, name=name)
