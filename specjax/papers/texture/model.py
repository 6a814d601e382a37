"""Classifiers of sounds, given as spectrograms (section 2 of the paper).

In the layout `channels`, each frequency bin is an input channel and convolutions run over time only. In the layout
`image`, a spectrogram is an image of one channel, and convolutions run over frequency and time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.nn.pool import global_max_pool, max_pool
from specjax.nn.time_conv import TimeConv

_PAPER_INIT = nn.initializers.truncated_normal(0.1)
_PAPER_BIAS = nn.initializers.constant(0.1)


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of a classifier. The defaults are those of the paper and its published code.

    With 50 classes, they have 3,729,634 parameters.

    layout: `channels` or `image`, see the docstring of the module.
    architecture: `paper` is that of the paper. `residual` normalizes the rows of the spectrogram, followed by a
      convolution and residual blocks, each with batch normalization and pooling, and mean and maximum over time instead
      of a fully connected layer.
    widths: number of channels of each convolution of `paper`; of the first convolution and each block of `residual`.
    kernel_rows: height of the kernels in rows, for the layout `image`.
    kernel_frames: width of the kernels in frames; in `residual`, of the first convolution. The kernels of the blocks
      are 3 frames wide (and 3 rows high).
    hidden: number of units of the fully connected layer of `paper`.
    dropout: dropout rate of the input of the first fully connected layer during training.
    centroid_classes: number of classes of the second task, the classification of the spectral centroid; 0 disables the
      second task.
    """

    layout: Literal["channels", "image"] = "channels"
    architecture: Literal["paper", "residual"] = "paper"
    widths: tuple[int, ...] = (2048, 64)
    kernel_rows: int = 9
    kernel_frames: int = 5
    hidden: int = 32
    dropout: float = 0.5
    centroid_classes: int = 16

    def __post_init__(self) -> None:
        if self.layout not in ("channels", "image"):
            raise ValueError(f"model.layout={self.layout!r} is unknown: choose channels or image")
        if self.architecture not in ("paper", "residual"):
            raise ValueError(f"model.architecture={self.architecture!r} is unknown: choose paper or residual")
        if not self.widths:
            raise ValueError("model.widths=() must name at least one convolution")
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
      centroid: logits of the classes of the spectral centroid; of shape (batch, 0) without the second task.
    """

    label: Float[Array, "batch classes"]
    centroid: Float[Array, "batch centroid_classes"]


class Classifier(nn.Module):
    """Classifier with one or two outputs. Training needs the Flax RNG stream `dropout`.

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
          training: whether to apply dropout and to normalize by the statistics of the batch.
        """
        c = self.config
        dropout = nn.Dropout(c.dropout, deterministic=not training)
        # In both layouts, time is the first axis after the batch.
        x = jnp.swapaxes(levels, 1, 2)
        if c.architecture == "paper":
            x = dropout(self._extract_features(x if c.layout == "channels" else x[..., None]))
            x = nn.relu(self._dense(c.hidden, "hidden")(x))
        else:
            x = dropout(self._extract_residual_features(x, training))
        label = self._dense(self.classes, "label")(x)
        centroid = self._dense(c.centroid_classes, "centroid")(x) if c.centroid_classes else jnp.zeros((len(x), 0))
        return Logits(label, centroid)

    def _extract_features(self, x: Array) -> Array:
        c = self.config
        for i, width in enumerate(c.widths, 1):
            x = self._conv(width, (c.kernel_frames, c.kernel_rows), f"conv{i}")(x)
            x = nn.relu(_pool(x) if c.layout == "image" else x)
        return x.reshape(len(x), -1)

    def _extract_residual_features(self, x: Float[Array, "batch frames rows"], training: bool) -> Array:
        c = self.config
        norm = partial(nn.BatchNorm, use_running_average=not training, momentum=0.9)
        x = norm(use_scale=False, use_bias=False, name="rows_norm")(x)
        if c.layout == "image":
            x = _space_to_depth(x)
        x = self._conv(c.widths[0], (c.kernel_frames, c.kernel_rows), "conv1")(x)
        x = _pool(nn.relu(norm(name="conv1_norm")(x)))
        for i, width in enumerate(c.widths[1:], 2):
            x = nn.relu(norm(name=f"conv{i}a_norm")(self._conv(width, (3, 3), f"conv{i}a")(x)))
            x = nn.relu(x + norm(name=f"conv{i}b_norm")(self._conv(width, (3, 3), f"conv{i}b")(x)))
            if i < len(c.widths):
                x = _pool(x)
        if c.layout == "image":
            x = jnp.mean(x, axis=2)
        return jnp.mean(x, axis=1) + global_max_pool(x)

    def _conv(self, width: int, kernel: tuple[int, int], name: str) -> nn.Module:
        """Create a convolution with a kernel of (frames, rows), of which the layout `channels` uses only the first.

        In the layout `channels` of the paper's architecture, it includes the pooling.
        """
        paper = self.config.architecture == "paper"
        kernel_init: Callable = _PAPER_INIT if paper else nn.initializers.he_normal()
        bias_init: Callable = _PAPER_BIAS if paper else nn.initializers.zeros
        if self.config.layout == "channels":
            return TimeConv(width, kernel[0], kernel_init, bias_init, pool=paper, name=name)
        return nn.Conv(width, kernel, kernel_init=kernel_init, bias_init=bias_init, name=name)

    def _dense(self, units: int, name: str) -> nn.Dense:
        if self.config.architecture == "residual":
            return nn.Dense(units, name=name)
        return nn.Dense(units, kernel_init=_PAPER_INIT, bias_init=_PAPER_BIAS, name=name)


def _pool(x: Float[Array, "batch frames ..."]) -> Array:
    """Take the maximum over pairs of frames, and of rows if there is an axis of rows before the channels."""
    return max_pool(x, range(1, x.ndim - 1))


def _space_to_depth(x: Float[Array, "batch frames rows"]) -> Float[Array, "batch frames2 rows2 4"]:
    """Arrange blocks of 2 x 2 values as four channels; an odd last row or frame is dropped."""
    batch, frames, rows = x.shape
    blocks = x[:, : frames // 2 * 2, : rows // 2 * 2].reshape(batch, frames // 2, 2, rows // 2, 2)
    return blocks.transpose(0, 1, 3, 2, 4).reshape(batch, frames // 2, rows // 2, 4)
