"""Style transfer with an image network (section 2 of the paper): VGG-19 applied to the spectrogram as an image."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from specjax.optim.minimization import LBFGS
from specjax.papers.texture.style import wyse
from specjax.papers.texture.style.method import Problem, Waves
from specjax.papers.texture.style.networks import Frames, Gram, gram, gram_loss
from specjax.papers.texture.style.source import Style, measure_each, split
from specjax.papers.texture.style.vgg import CONTENT_LAYERS, STYLE_LAYERS, Vgg19
from specjax.signal.inversion import Inversion
from specjax.signal.short_time_fourier import magnitude

# Frames of context with which the features of a piece equal those of the whole sound: more than the receptive field of
# conv5_1, and a multiple of its stride.
_CONTEXT = 128
_NETWORK = Vgg19()


@dataclass(frozen=True)
class ImageLoss:
    """Weighted sum of the losses of content and style (Gatys, Ecker and Bethge 2016).

    Called as `loss(x, content, grams, params)`: a spectrogram of shape `(frames, bins)` with values in 0 to 255, the
    features of the content in each content layer, the mean Gram matrices of the style in each layer, and the network.

    Attributes:
      content_weight: weight of the mean squared differences of features.
      style_weight: weight of the mean squared differences of mean Gram matrices.
      layers: layers of the style.
    """

    content_weight: float
    style_weight: float
    layers: tuple[str, ...]

    def __call__(self, x: Frames, content: dict[str, Array], grams: dict[str, Gram], params: Any) -> Float[Array, ""]:
        features = extract_features(x, params)
        content_loss = sum((jnp.mean((features[n] - content[n]) ** 2) for n in CONTENT_LAYERS), jnp.zeros(()))
        style_loss = sum((gram_loss(_rows(features[n]), grams[n]) / grams[n].size for n in self.layers), jnp.zeros(()))
        return self.content_weight * content_loss + self.style_weight * style_loss


@dataclass(frozen=True, eq=False)
class Image:
    """Settings of style transfer with VGG-19. The optimization starts from the content.

    Attributes:
      params: parameters of the network (`vgg.load_params`).
      layers: layers whose Gram matrices define the style.
      content_weight: weight of the content.
      style_weight: weight of the style.
      steps: number of L-BFGS steps.
      inversion: method of reconstructing a sound from the resulting spectrogram.
    """

    params: Any = None
    layers: tuple[str, ...] = STYLE_LAYERS
    content_weight: float = 1.0
    style_weight: float = 1.0
    steps: int = 100
    inversion: Inversion = Inversion()

    sample_rate = wyse.PRESET.sample_rate
    min_samples = wyse.PRESET.transform.samples(32)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.layers) - set(STYLE_LAYERS)):
            raise ValueError(f"layers: {unknown[0]!r} is unknown: choose from {', '.join(STYLE_LAYERS)}")
        if self.steps < 1:
            raise ValueError(f"steps={self.steps} must be at least 1")

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """L-BFGS."""
        return LBFGS

    def pose(self, contents: Waves, styles: Sequence[Style]) -> Problem:
        """Build the optimization problem of contents, each with its own style."""
        levels = magnitude(wyse.cover(contents), wyse.PRESET.transform)
        peak = jnp.max(levels, axis=(-2, -1), keepdims=True)
        values = wyse.encode(levels, peak)
        content = jax.lax.map(lambda x: {n: extract_features(x, self.params)[n] for n in CONTENT_LAYERS}, values)
        measured = measure_each(partial(style_grams, params=self.params, layers=self.layers), styles)
        grams = {name: jnp.stack([one[name] for one in measured]) for name in self.layers}
        to_waves = partial(wyse.to_waves, peak=peak, length=contents.shape[-1], inversion=self.inversion)
        loss = ImageLoss(self.content_weight, self.style_weight, self.layers)
        return Problem(loss, values, (content, grams), (self.params,), to_waves)


def extract_features(x: Frames, params: Any) -> dict[str, Float[Array, "h w features"]]:
    """Compute the feature maps of VGG-19 for a spectrogram with values in 0 to 255."""
    maps = _NETWORK.apply({"params": params}, (x / wyse.TOP)[None])
    assert isinstance(maps, dict)
    return {name: features[0] for name, features in maps.items()}


def style_grams(style: Style, params: Any, layers: tuple[str, ...]) -> dict[str, Gram]:
    """Compute the mean Gram matrices of some layers for a style, which is read in pieces, twice."""
    transform = wyse.PRESET.transform
    frames = transform.frames(style.samples) // wyse.PRESET.frames_multiple * wyse.PRESET.frames_multiple
    peaks = [jnp.max(magnitude(jnp.asarray(p.wave), transform)) for p in split(style, transform, frames, context=0)]
    peak = jnp.max(jnp.stack(peaks))
    totals = {name: jnp.zeros(()) for name in layers}
    counts = dict.fromkeys(layers, 0)
    for piece in split(style, transform, frames, context=_CONTEXT):
        features = _piece_features(jnp.asarray(piece.wave), peak, params, layers)
        for name in layers:
            rows = _rows(_drop(features[name], name, piece.before, piece.after))
            totals[name], counts[name] = totals[name] + gram(rows), counts[name] + len(rows)
    return {name: totals[name] / counts[name] for name in layers}


@partial(jax.jit, static_argnames="layers")
def _piece_features(
    wave: Float[Array, " samples"], peak: Float[Array, ""], params: Any, layers: tuple[str, ...]
) -> dict[str, Array]:
    values = wyse.encode(magnitude(wave, wyse.PRESET.transform), peak.reshape(1, 1))
    features = extract_features(values, params)
    return {name: features[name] for name in layers}


def _drop(
    features: Float[Array, "h w features"], layer: str, before: int, after: int
) -> Float[Array, "kept w features"]:
    """Drop the rows of a feature map that belong to frames of context."""
    stride = 2 ** (int(layer[len("conv")]) - 1)  # the maps are pooled once before each block but the first
    return features[before // stride : len(features) - after // stride]


def _rows(features: Float[Array, "h w features"]) -> Float[Array, "positions features"]:
    return features.reshape(-1, features.shape[-1])
