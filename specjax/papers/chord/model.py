"""U-Net of the chord paper (chord paper, section 3), with the depth of its authors' code and a choice of output head.

The network reduces a 28x28 digit to 7x7 features and expands them to a 28x28 feature map. The head turns the map into
the spectrogram.
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

LEAKY_SLOPE = 0.2  # of the bottleneck; the last activation has the slope 0.01


@dataclass(frozen=True)
class UNetConfig:
    """Architecture of the network. The defaults are the network of the paper's authors: 2,722,753 parameters.

    widths: channels at 28x28, 14x14 and 7x7.
    depth: number of convolutions per stage; `bottleneck_depth` is that of the bottleneck.
    skips: concatenate the encoder's feature maps in the decoder.
    head: `paper`, bilinear upsampling and a 3x3 convolution; `rows`, a learned row matrix.
    head_channels: number of channels of the head `rows`.
    activation: activation of the last layer.
    init: initialization of the convolutions.
    compute_dtype: dtype of the convolutions; parameters and outputs are float32.
    qualities: number of chord qualities that the network is conditioned on; 0 does not condition it, as in the paper.
    labels: number of labels of a classifier of the digit at the bottleneck; 0 has none. Its prediction is added to
      every position of the feature map, so that all columns show the same chord, and none a blend of two.
    dropout: fraction of the classifier's inputs that are dropped while training.
    batch_norm: batch normalization of the encoder and the bottleneck while training. Inference uses parameters with the
      normalization folded into the convolutions (`nn.norm.fold_batch_norm`).
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
            raise ValueError(f"model.widths={self.widths} must be three channel counts above 0")
        if self.labels < 0:
            raise ValueError(f"model.labels={self.labels} must not be negative")
        if not 0 <= self.dropout < 1 or (self.dropout and not self.labels):
            raise ValueError(
                f"model.dropout={self.dropout} with model.labels={self.labels}: dropout must lie in [0, 1), "
                "and be 0 if model.labels=0"
            )
        if min(self.depth, self.bottleneck_depth, self.head_channels) < 1:
            raise ValueError(
                f"model.depth={self.depth}, bottleneck_depth={self.bottleneck_depth} and "
                f"head_channels={self.head_channels} must be at least 1"
            )


class UNet(nn.Module):
    """U-Net from `(batch, 28, 28)` digits in [0, 1] to `(batch, size, columns)` spectrograms, near [0, 1].

    The parameters do not depend on `columns`, which divides `size`; fewer columns are the means of adjacent ones.

    If `config.labels` is not 0, a classifier at the bottleneck predicts the label. Its `(batch, labels)` logits are
    sown as `label` in the collection `reading`. While `training`, the feature map receives the class probabilities, and
    the RNG stream `dropout` is used. Otherwise it receives the one-hot decision, so that an ambiguous digit never gives
    a blend of two chords.
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
        normalize = training and c.batch_norm
        skip_fine = self._apply_convs(x, fine, c.depth, "encode_fine", normalize)
        skip_middle = self._apply_convs(_max_pool(skip_fine), middle, c.depth, "encode_middle", normalize)
        x = self._apply_bottleneck(_max_pool(skip_middle), coarse, quality, training)
        x = UpConv(middle, c.init, dtype, name="up_middle")(x)
        x = self._apply_convs(self._concatenate(x, skip_middle), middle, c.depth, "decode_middle")
        x = UpConv(fine, c.init, dtype, name="up_fine")(x)
        x = self._apply_convs(self._concatenate(x, skip_fine), fine, c.depth, "decode_fine")
        if c.head == "paper":
            spectrogram = UpsampledConv(self.size, self.columns, c.init, name="head")(x)
        else:
            spectrogram = RowHead(self.size, self.columns, c.head_channels, name="head")(x)
        return nn.sigmoid(spectrogram) if c.activation == "sigmoid" else nn.leaky_relu(spectrogram, 0.01)

    def _apply_convs(self, x: Array, width: int, depth: int, name: str, normalize: bool = False) -> Array:
        for i in range(depth):
            x = nn.relu(self._apply_conv(x, width, f"{name}_{i}", normalize))
        return x

    def _apply_conv(self, x: Array, width: int, name: str, normalize: bool) -> Array:
        dtype = jnp.dtype(self.config.compute_dtype)
        x = Conv(width, 3, self.config.init, dtype, name=name)(x)
        return normalize_batch(x, name) if normalize else x

    def _apply_bottleneck(self, x: Array, width: int, quality: Array | None, training: bool) -> Array:
        c = self.config
        for i in range(c.bottleneck_depth):
            x = self._apply_conv(x, width, f"bottleneck_{i}", training and c.batch_norm)
            if i == 0 and c.qualities:
                embedding = nn.Embed(c.qualities, width, dtype=x.dtype, name="quality")(quality)
                x = x + embedding[:, None, None, :]
            x = nn.leaky_relu(x, LEAKY_SLOPE)
        if c.labels:
            features = nn.Dropout(c.dropout, deterministic=not training)(x.reshape(x.shape[0], -1).astype(jnp.float32))
            logits = nn.Dense(c.labels, name="read")(features)
            self.sow("reading", "label", logits)
            label_weights = nn.softmax(logits) if training else jax.nn.one_hot(jnp.argmax(logits, axis=-1), c.labels)
            x = x + nn.Dense(width, dtype=x.dtype, name="tell")(label_weights)[:, None, None, :]
        return x

    def _concatenate(self, up: Array, skip: Array) -> Array:
        return jnp.concatenate([up, skip], axis=-1) if self.config.skips else up


def _max_pool(x: Array) -> Array:
    """Pool by the maximum of 2x2 blocks, as a reduction, whose gradient is a selection rather than a scatter."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def parameter_count(params: dict) -> int:
    """Count the scalars in a parameter tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
