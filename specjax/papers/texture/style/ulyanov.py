"""Style transfer of Ulyanov and Lebedev (2016): one layer of random filters on a log-magnitude spectrogram.

"Audio texture synthesis and style transfer", https://dmitryulyanov.github.io/audio-texture-synthesis-and-style-transfer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from specjax.optim.minimization import LBFGS
from specjax.papers.texture.style.method import Problem, Waves
from specjax.papers.texture.style.networks import (
    FactoredGram,
    Features,
    Frames,
    Kernel,
    add_rows,
    convolve,
    factor_gram,
    factored_gram_loss,
    random_kernel,
    stack_factored,
)
from specjax.papers.texture.style.source import Style, measure_each, split
from specjax.signal.inversion import Inversion, invert
from specjax.signal.presets import PRESETS, Spectrogram, magnitudes, spectrogram
from specjax.signal.short_time_fourier import magnitude

PRESET = PRESETS["ulyanov"]
_START_DEVIATION = 1e-3


@dataclass(frozen=True)
class UlyanovLoss:
    """Loss `content_weight * |F - F_content|^2 + |G - G_style|^2`, with features F and mean Gram matrix G.

    Called as `loss(x, content, style, kernel)`: a spectrogram of shape `(frames, bins)`, the features of the content,
    the mean Gram matrix of the style, and the kernel.

    Attributes:
      content_weight: weight of the content.
    """

    content_weight: float

    def __call__(self, x: Frames, content: Features, style: FactoredGram, kernel: Kernel) -> Float[Array, ""]:
        features = random_features(x, kernel)
        return self.content_weight * jnp.sum((features - content) ** 2) + factored_gram_loss(features, style)


@dataclass(frozen=True)
class Ulyanov:
    """Settings of Ulyanov and Lebedev's style transfer.

    The defaults are theirs, except that phases are reconstructed by `Inversion()`, and that the Gram matrix is divided
    by the number of frames after the convolution.

    Attributes:
      filters: number of random filters.
      width: width of the filters in frames.
      content_weight: weight of the content; the weight of the style is 1.
      steps: number of L-BFGS steps.
      inversion: method of reconstructing a sound from the resulting spectrogram.
      seed: random seed of the filters and of the starting point.
    """

    filters: int = 4096
    width: int = 11
    content_weight: float = 1e-2
    steps: int = 300
    inversion: Inversion = Inversion()
    seed: int = 0

    sample_rate = PRESET.sample_rate

    def __post_init__(self) -> None:
        if min(self.filters, self.width, self.steps) < 1:
            raise ValueError(f"filters={self.filters}, width={self.width} and steps={self.steps} must be at least 1")

    @property
    def min_samples(self) -> int:
        """Minimum number of samples of a content or style: the length of one filter."""
        return PRESET.transform.samples(self.width) + PRESET.transform.hop_length

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """L-BFGS."""
        return LBFGS

    def pose(self, contents: Waves, styles: Sequence[Style]) -> Problem:
        """Build the optimization problem of contents, each with its own style."""
        kernel_key, start_key = jax.random.split(jax.random.key(self.seed))
        kernel = random_kernel(kernel_key, self.width, PRESET.transform.bins, self.filters)
        values = jnp.swapaxes(spectrogram(contents, PRESET).values, -1, -2)
        # All examples start from the same noise, so an example has the same result in any batch.
        noise = _START_DEVIATION * jax.random.normal(start_key, values.shape[1:])
        content = jax.lax.map(partial(random_features, kernel=kernel), values)
        style = stack_factored(measure_each(partial(style_gram, kernel=kernel), styles))
        to_waves = partial(_to_waves, length=contents.shape[-1], inversion=self.inversion)
        start = jnp.broadcast_to(noise, values.shape)
        return Problem(UlyanovLoss(self.content_weight), start, (content, style), (kernel,), to_waves)


def random_features(x: Frames, kernel: Kernel) -> Features:
    """Compute the features of a spectrogram of shape `(frames, bins)`: convolution without padding, then ReLU."""
    return jax.nn.relu(convolve(x, kernel, "VALID"))


def style_gram(style: Style, kernel: Kernel) -> FactoredGram:
    """Compute the mean Gram matrix of the features of a style, which is read in pieces."""
    context = len(kernel) - 1
    frames = PRESET.transform.frames(style.samples)
    rows = jnp.zeros((0, kernel.shape[-1]))
    for piece in split(style, PRESET.transform, frames, context=context):
        rows = add_rows(rows, _piece_features(jnp.asarray(piece.wave), kernel)[piece.before :])
    return factor_gram(rows, frames - context)


@jax.jit
def _piece_features(wave: Float[Array, " samples"], kernel: Kernel) -> Features:
    values = jnp.log1p(magnitude(wave, PRESET.transform.without_centering()))
    return random_features(values.T, kernel)


def _to_waves(points: Float[Array, "examples frames bins"], *, length: int, inversion: Inversion) -> Waves:
    levels = magnitudes(Spectrogram(jnp.swapaxes(points, -1, -2), PRESET), PRESET)
    return invert(levels, PRESET.transform, inversion, length=length)
