"""The U-Net of the chord paper (section 3), with its authors' depth, and a choice of head.

A 28x28 digit goes down to 7x7 and back up to a 28x28 map of features; a head paints the spectrogram from it.
"""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from specjax.nn.conv import Conv, Init, UpConv
from specjax.nn.norm import normalize_batch
from specjax.nn.separable import RowHead, UpsampledConv

LEAKY_SLOPE = 0.2  # at the bottleneck; the last activation's slope is 0.01


@dataclass(frozen=True)
class UNetConfig:
    """Shape of the network. The defaults are the authors' network: 2,722,753 parameters.

    head: `paper`, bilinear upsampling and a 3x3 convolution; `rows`, a learned row matrix.
    activation: of the last layer.
    qualities: number of chord qualities the network is told of (0: it is told none, as in the paper).
    labels: number of labels the bottleneck reads the digit as (0: it does not). The reading is told to every place of
      the map, so that all columns paint the same chord and none a blend of two.
    dropout: share of the bottleneck that is hidden from the reading while training.
    batch_norm: normalise what leads to the reading, over the batch, while training. What paints has the normalisations
      fold_batch_norm into its convolutions (`nn.norm.fold_batch_norm`).
    """

    widths: tuple[int, int, int] = (64, 128, 256)
    depth: int = 3
    bottleneck_depth: int = 2
    skips: bool = True
    head: Literal["paper", "rows"] = "paper"
    head_channels: int = 16
    activation: Literal["leaky_relu", "sigmoid"] = "leaky_relu"
    init: Init = "torch"
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    qualities: int = 0
    labels: int = 0
    dropout: float = 0.0
    batch_norm: bool = False

    def __post_init__(self) -> None:
        for name, choices in {
            "head": ("paper", "rows"),
            "activation": ("leaky_relu", "sigmoid"),
            "init": ("torch", "he"),
            "compute_dtype": ("float32", "bfloat16"),
        }.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"model.{name}={getattr(self, name)!r} is unknown: choose {' or '.join(choices)}")
        if len(self.widths) != 3 or min(self.widths) < 1:
            raise ValueError(f"model.widths={self.widths}: three channel counts above 0 are needed")
        if self.labels < 0:
            raise ValueError(f"model.labels={self.labels} must not be negative")
        if not 0 <= self.dropout < 1 or (self.dropout and not self.labels):
            raise ValueError(
                f"model.dropout={self.dropout} with model.labels={self.labels}: a share below 1 of what labels are "
                "read from is needed; 0 without labels"
            )
        if min(self.depth, self.bottleneck_depth, self.head_channels) < 1:
            raise ValueError("model.depth, bottleneck_depth and head_channels must be at least 1")


class UNet(nn.Module):
    """`(batch, 28, 28)` digits in [0, 1] to `(batch, size, columns)` spectrograms, near [0, 1].

    The parameters do not depend on `columns`, which divides `size`: fewer are means over neighbours. Where
    `config.labels` is not 0, the reading, `(batch, labels)` logits, is sown as `label` of the collection `reading`:
    the map is told its probabilities while `training`, which also draws from the stream `dropout`, and its decision
    otherwise, so that one doubtful digit is never painted as two chords.
    """

    config: UNetConfig
    size: int
    columns: int

    @nn.compact
    def __call__(
        self,
        digits: Float[Array, "batch 28 28"],
        quality: Int[Array, " batch"] | None = None,
        training: bool = False,
    ) -> Float[Array, "batch size columns"]:
        c = self.config
        dtype = jnp.dtype(c.compute_dtype)
        fine, middle, coarse = c.widths
        x = digits[..., None].astype(dtype)
        normed = training and c.batch_norm
        skip_fine = self._convs(x, fine, c.depth, "encode_fine", normed)
        skip_middle = self._convs(_pool(skip_fine), middle, c.depth, "encode_middle", normed)
        x = self._bottleneck(_pool(skip_middle), coarse, quality, training)
        x = UpConv(middle, c.init, dtype, name="up_middle")(x)
        x = self._convs(self._join(x, skip_middle), middle, c.depth, "decode_middle")
        x = UpConv(fine, c.init, dtype, name="up_fine")(x)
        x = self._convs(self._join(x, skip_fine), fine, c.depth, "decode_fine")
        if c.head == "paper":
            picture = UpsampledConv(self.size, self.columns, c.init, name="head")(x)
        else:
            picture = RowHead(self.size, self.columns, c.head_channels, name="head")(x)
        return nn.sigmoid(picture) if c.activation == "sigmoid" else nn.leaky_relu(picture, 0.01)

    def _convs(self, x: Array, width: int, depth: int, name: str, normed: bool = False) -> Array:
        for i in range(depth):
            x = nn.relu(self._conv(x, width, f"{name}_{i}", normed))
        return x

    def _conv(self, x: Array, width: int, name: str, normed: bool) -> Array:
        dtype = jnp.dtype(self.config.compute_dtype)
        x = Conv(width, 3, self.config.init, dtype, name=name)(x)
        return normalize_batch(x, name) if normed else x

    def _bottleneck(self, x: Array, width: int, quality: Array | None, training: bool) -> Array:
        c = self.config
        for i in range(c.bottleneck_depth):
            x = self._conv(x, width, f"bottleneck_{i}", training and c.batch_norm)
            if i == 0 and c.qualities:
                embedding = nn.Embed(c.qualities, width, dtype=x.dtype, name="quality")(quality)
                x = x + embedding[:, None, None, :]
            x = nn.leaky_relu(x, LEAKY_SLOPE)
        if c.labels:
            seen = nn.Dropout(c.dropout, deterministic=not training)(x.reshape(x.shape[0], -1).astype(jnp.float32))
            logits = nn.Dense(c.labels, name="read")(seen)
            self.sow("reading", "label", logits)
            told = nn.softmax(logits) if training else jax.nn.one_hot(jnp.argmax(logits, axis=-1), c.labels)
            x = x + nn.Dense(width, dtype=x.dtype, name="tell")(told)[:, None, None, :]
        return x

    def _join(self, up: Array, skip: Array) -> Array:
        return jnp.concatenate([up, skip], axis=-1) if self.config.skips else up


def _pool(x: Array) -> Array:
    """2x2 maximum, as maxima of strided slices: their gradient is a selection, not a scatter."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def parameter_count(params: dict) -> int:
    """Number of scalars in a parameter tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
