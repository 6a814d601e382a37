"""U-Net of the chord paper (section 3), with as many layers as in its authors' code and a choice of output head.

The network encodes a 28x28 digit as a 7x7 feature map, and decodes this to a 28x28 feature map. The output head turns
the latter into the spectrogram.
"""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from specjax.nn.conv import Conv, Init, UpConv
from specjax.nn.norm import normalize_batch
from specjax.nn.pool import max_pool
from specjax.nn.separable import RowHead, UpsampledConv

LEAKY_SLOPE = 0.2  # negative slope of the bottleneck's LeakyReLU; that of the last activation is 0.01
MAX_DEPTH = 32


@dataclass(frozen=True)
class UNetConfig:
    """Architecture of the U-Net. The defaults are those of the chord paper's authors: 2,722,753 parameters.

    widths: number of channels at the resolutions 28x28, 14x14 and 7x7.
    depth: number of convolutions per encoder and decoder stage.
    bottleneck_depth: number of convolutions of the bottleneck, at 7x7.
    skips: concatenate the encoder's feature maps to the decoder's.
    head: output head, which turns the last 28x28 feature map into the spectrogram. `paper` is bilinear upsampling and a
      3x3 convolution, as in the paper. `rows` maps the 28 rows of features to the rows of the spectrogram by a learned
      matrix per channel, so it can place a maximum in any row.
    head_channels: number of channels of the head `rows`.
    activation: activation of the last layer.
    init: initialization of the convolutions: `torch` is PyTorch's default, `he` is He normal.
    compute_dtype: dtype of the convolutions. Parameters and outputs are float32.
    qualities: number of chord qualities (major, minor, ...). If it is above 0, the index of a quality is an input of
      the network. Its embedding is added at the bottleneck. 0 means no such input, as in the paper.
    labels: number of classes of a digit classifier at the bottleneck; 0 means no classifier. A linear projection of the
      prediction is added to the bottleneck's features at every position, so all columns get the same chord.
    dropout: dropout rate of the classifier's input during training.
    batch_norm: apply batch normalization in the encoder and the bottleneck during training. For inference, pass the
      parameters through `nn.norm.fold_batch_norm`, which folds the normalization into the convolutions.
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
        if not (1 <= self.depth <= MAX_DEPTH and 1 <= self.bottleneck_depth <= MAX_DEPTH and self.head_channels >= 1):
            raise ValueError(
                f"model.depth={self.depth} and bottleneck_depth={self.bottleneck_depth} must lie in [1, {MAX_DEPTH}], "
                f"and head_channels={self.head_channels} must be at least 1"
            )


class UNet(nn.Module):
    """U-Net that predicts `(batch, size, columns)` spectrograms, near [0, 1], from `(batch, 28, 28)` digits in [0, 1].

    If `config.labels` is not 0, a classifier at the bottleneck predicts the digit's label. Its `(batch, labels)` logits
    are stored by `sow` as `label` in the Flax collection `intermediates`. A linear projection of the predicted
    label is added to the bottleneck's features. During training, the predicted label is the vector of class
    probabilities. In inference, it is the one-hot vector of the most probable label, so that an ambiguous digit never
    gives a blend of two chords. Training with dropout (`config.dropout` above 0) needs the Flax RNG stream `dropout`.

    config: architecture of the network.
    size: number of rows of the spectrograms.
    columns: number of columns of the spectrograms, which must divide `size`. If it is less than `size`, each column is
      the mean of adjacent columns at full resolution. The parameters do not depend on `columns`.
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
        """Predict the spectrograms of a batch of digits.

        Args:
          digits: images in [0, 1].
          quality: index of each chord's quality; only used if `config.qualities` is not 0.
          training: True applies batch normalization and dropout, if `config` enables them, and passes the class
            probabilities of the digit classifier to the decoder. False applies neither, and passes the one-hot vector
            of the most probable class.
        """
        c = self.config
        dtype = jnp.dtype(c.compute_dtype)
        fine, middle, coarse = c.widths
        x = digits[..., None].astype(dtype)
        normalize = training and c.batch_norm
        skip_fine = self._apply_convs(x, fine, c.depth, "encode_fine", normalize)
        skip_middle = self._apply_convs(max_pool(skip_fine, (1, 2)), middle, c.depth, "encode_middle", normalize)
        x = self._apply_bottleneck(max_pool(skip_middle, (1, 2)), coarse, quality, training)
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
            self.sow("intermediates", "label", logits)
            label_weights = nn.softmax(logits) if training else jax.nn.one_hot(jnp.argmax(logits, axis=-1), c.labels)
            x = x + nn.Dense(width, dtype=x.dtype, name="tell")(label_weights)[:, None, None, :]
        return x

    def _concatenate(self, up: Array, skip: Array) -> Array:
        return jnp.concatenate([up, skip], axis=-1) if self.config.skips else up


def parameter_count(params: dict) -> int:
    """Count the scalars in a parameter tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
