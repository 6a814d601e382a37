"""Style transfer of Wyse (2017): two layers of a sound classifier, trained or random, on a spectrogram in dB.

"Audio spectrogram representations for processing with convolutional neural networks", https://arxiv.org/abs/1706.09559.
Settings that the paper does not state are those of its published code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.arrays.axes import pad_axis
from specjax.optim.minimization import LBFGS
from specjax.papers.texture.style.method import Problem, Waves
from specjax.papers.texture.style.networks import (
    FactoredGram,
    Features,
    Frames,
    Gram,
    Params,
    activations,
    add_rows,
    factor_gram,
    factored_gram_loss,
    gram,
    gram_loss,
    random_params,
    stack_factored,
)
from specjax.papers.texture.style.source import Style, measure_each, split
from specjax.signal.inversion import Inversion, invert
from specjax.signal.level import amplitude_to_db, db_to_amplitude
from specjax.signal.presets import PRESETS
from specjax.signal.shapes import Rows
from specjax.signal.short_time_fourier import magnitude

PRESET = PRESETS["wyse"]

TOP = 255.0  # value of the greatest magnitude; 0 is `PRESET.range_db` below it
_ADAM = optax.adam(2.0)
LAYERS = {"conv1": 1.0, "conv2": 2.0}  # weight of the style in each layer
_RANGE_WEIGHT = 0.01
# Frames of context with which the features of a piece equal those of the whole sound: at least 2 + 2 * 2 for two layers
# of width 5 with pooling by 2 in between, and even, so that frames are pooled in the same pairs.
_CONTEXT = 8


@dataclass(frozen=True)
class WyseLoss:
    """Weighted sum of the losses of content, style and range.

    Called as `loss(x, content, first, second, params)`: a spectrogram of shape `(frames, bins)` with values in 0 to
    255, the second layer's activations for the content, the mean Gram matrices of both layers for the style, and the
    network.

    Attributes:
      content_weight: weight of the content loss, the mean squared difference of the second layer, divided by 4.
      style_weight: weight of the style loss, the sum over the layers, weighted as in `LAYERS`, of the mean squared
        difference of the mean Gram matrices, divided by 4.
      layers: layers of the style loss, keys of `LAYERS`.
    """

    content_weight: float
    style_weight: float
    layers: tuple[str, ...]

    def __call__(
        self, x: Frames, content: Features, first: FactoredGram, second: Gram, params: Params
    ) -> Float[Array, ""]:
        features = dict(zip(LAYERS, activations(x, params), strict=True))
        content_loss = jnp.mean((features["conv2"] - content) ** 2) / 4
        distances = {
            "conv1": factored_gram_loss(features["conv1"], first),
            "conv2": gram_loss(features["conv2"], second),
        }
        style_loss = sum(
            (LAYERS[name] * distances[name] / (4 * features[name].shape[1] ** 2) for name in self.layers),
            jnp.zeros(()),
        )
        outside = x - jnp.clip(x, 0.0, TOP)
        range_loss = _RANGE_WEIGHT * 0.5 * jnp.sum(outside**2)
        return self.content_weight * content_loss + self.style_weight * style_loss + range_loss


@dataclass(frozen=True, eq=False)
class Wyse:
    """Settings of Wyse's style transfer.

    Attributes:
      params: the two convolutional layers of a trained classifier, as for `networks.activations`. None: random layers.
      filters: number of filters of a random first layer.
      layers: layers whose Gram matrices define the style, keys of `LAYERS`.
      content_weight: weight of the content, alpha in the published code.
      style_weight: weight of the style, beta in the published code.
      noise: weight of the noise in the starting point, 0 to 1; that of the content is `1 - noise`.
      algorithm: `adam`, as in the published code, or `lbfgs`.
      steps: number of optimizer steps.
      inversion: method of reconstructing a sound from the resulting spectrogram.
      seed: random seed of random layers and of the noise.
    """

    params: Params | None = None
    filters: int = 2048
    layers: tuple[str, ...] = tuple(LAYERS)
    content_weight: float = 10.0
    style_weight: float = 200.0
    noise: float = 0.5
    algorithm: Literal["adam", "lbfgs"] = "adam"
    steps: int = 600
    inversion: Inversion = Inversion()
    seed: int = 0

    sample_rate = PRESET.sample_rate
    min_samples = PRESET.transform.samples(2 * _CONTEXT)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.layers) - LAYERS.keys()):
            raise ValueError(f"layers: {unknown[0]!r} is unknown: choose from {', '.join(LAYERS)}")
        if not 0 <= self.noise <= 1:
            raise ValueError(f"noise={self.noise} must lie between 0 and 1")
        if self.algorithm not in ("adam", "lbfgs"):
            raise ValueError(f"algorithm={self.algorithm!r} is unknown: choose adam or lbfgs")
        if min(self.filters, self.steps) < 1:
            raise ValueError(f"filters={self.filters} and steps={self.steps} must be at least 1")

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Adam with a learning rate of 2, or L-BFGS."""
        return _ADAM if self.algorithm == "adam" else LBFGS

    def pose(self, contents: Waves, styles: Sequence[Style]) -> Problem:
        """Build the optimization problem of contents, each with its own style."""
        params_key, start_key = jax.random.split(jax.random.key(self.seed))
        params = self.params or random_params(params_key, PRESET.transform.bins, (self.filters, 64))
        levels = magnitude(cover(contents), PRESET.transform)
        peak = jnp.max(levels, axis=(-2, -1), keepdims=True)
        values = encode(levels, peak)
        content = jax.lax.map(lambda x: activations(x, params)[1], values)
        grams = measure_each(partial(style_grams, params=params), styles)
        first, second = stack_factored([gram for gram, _ in grams]), jnp.stack([gram for _, gram in grams])
        # All examples start from the same noise, so an example has the same result in any batch.
        noise = jax.random.uniform(start_key, values.shape[1:], minval=-1.0)
        start = self.noise * noise[None] + (1 - self.noise) * values
        decode_waves = partial(to_waves, peak=peak, length=contents.shape[-1], inversion=self.inversion)
        return Problem(
            WyseLoss(self.content_weight, self.style_weight, self.layers),
            start,
            (content, first, second),
            (params,),
            decode_waves,
        )


def cover(waves: Waves) -> Float[Array, "examples covered"]:
    """Pad waves with zeros so that frames cover all samples, the ends included, and their number fits the network.

    The frames of the preset are not centered, and their number is a multiple of 4. Without the padding, the ends of a
    sound would be lost.
    """
    transform, margin = PRESET.transform, PRESET.transform.n_fft // 2
    needed = -(-(waves.shape[-1] + 2 * margin - transform.n_fft) // transform.hop_length) + 1
    frames = -(-needed // PRESET.frames_multiple) * PRESET.frames_multiple
    return pad_axis(waves, margin, transform.samples(frames) - waves.shape[-1] - margin)


def encode(levels: Rows, peak: Float[Array, "*batch 1 1"]) -> Float[Array, "*batch frames bins"]:
    """Convert magnitudes to values in 0 to 255, linear in dB, with the highest frequency first.

    Args:
      levels: magnitudes, shape `(*batch, bins, frames)`.
      peak: magnitude that has the value 255.
    """
    floor = 10 ** (-PRESET.range_db / 20)
    values = amplitude_to_db(safe.divide(levels, peak), amin=floor) / PRESET.range_db + 1
    return TOP * jnp.swapaxes(values, -1, -2)[..., ::-1]


def decode(values: Float[Array, "*batch frames bins"]) -> Rows:
    """Convert values to magnitudes. As in the published code, the values are shifted so that the maximum is 255."""
    shifted = values - jnp.max(values, axis=(-2, -1), keepdims=True)
    levels = jnp.where(shifted > -TOP, db_to_amplitude(shifted / TOP * PRESET.range_db), 0.0)
    return jnp.swapaxes(levels[..., ::-1], -1, -2)


def style_grams(style: Style, params: Params) -> tuple[FactoredGram, Gram]:
    """Compute the mean Gram matrices of both layers for a style, which is read in pieces, twice."""
    frames = PRESET.transform.frames(style.samples) // PRESET.frames_multiple * PRESET.frames_multiple
    peak = jnp.zeros(())
    for piece in split(style, PRESET.transform, frames, context=0):
        peak = jnp.maximum(peak, _peak(jnp.asarray(piece.wave)))
    rows, total = jnp.zeros((0, params["conv1"]["bias"].size)), jnp.zeros(())
    for piece in split(style, PRESET.transform, frames, context=_CONTEXT):
        first, second = _piece_features(jnp.asarray(piece.wave), peak, params)
        rows = add_rows(rows, first[piece.before : len(first) - piece.after])
        total = total + gram(second[piece.before // 2 : len(second) - piece.after // 2])
    return factor_gram(rows, frames), total / (frames // 2)


@jax.jit
def _peak(wave: Float[Array, " samples"]) -> Float[Array, ""]:
    return jnp.max(magnitude(wave, PRESET.transform))


@jax.jit
def _piece_features(
    wave: Float[Array, " samples"], peak: Float[Array, ""], params: Params
) -> tuple[Float[Array, "frames first"], Float[Array, "half second"]]:
    return activations(encode(magnitude(wave, PRESET.transform), peak.reshape(1, 1)), params)


def to_waves(
    points: Float[Array, "examples frames bins"],
    *,
    peak: Float[Array, "examples 1 1"],
    length: int,
    inversion: Inversion,
) -> Waves:
    """Reconstruct waves from spectrograms with values in 0 to 255, and remove the padding of `cover`.

    Args:
      points: spectrograms.
      peak: magnitude of the greatest value.
      length: number of samples of the waves.
      inversion: method of phase reconstruction.
    """
    wave = invert(peak * decode(points), PRESET.transform, inversion)
    margin = PRESET.transform.n_fft // 2
    return wave[..., margin : margin + length]
