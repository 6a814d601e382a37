"""Style transfer that optimizes the wave itself (not in the paper), so that no phases have to be reconstructed.

The style consists of Gram matrices of random filters of many widths on mel spectrograms at three resolutions, the Gram
matrix of random filters on a linear spectrogram, and the autocorrelation of mel bands, which captures rhythm
(Antognini, Hoffman and Weiss 2018, "Synthesizing diverse, high-quality audio textures").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.optim.minimization import LBFGS
from specjax.papers.texture.style.equalizer import equalize
from specjax.papers.texture.style.method import Problem, Waves
from specjax.papers.texture.style.networks import gram_loss
from specjax.papers.texture.style.source import Style, measure_each
from specjax.papers.texture.style.waveform_statistics import (
    MIDDLE,
    SIZES,
    ContentFeatures,
    Network,
    StyleStatistics,
    Wave,
    content_features,
    content_features_from_power,
    lagged_products,
    linear_features,
    log_mel,
    measure_style,
    mel_features,
    random_network,
    resolution_transform,
    standardize,
)
from specjax.signal.short_time_fourier import power


class Terms(NamedTuple):
    """Terms of the loss before division by their scale: squared distances to the style (first three) and content."""

    grams: Float[Array, ""]
    linear: Float[Array, ""]
    rhythm: Float[Array, ""]
    bands: Float[Array, ""]
    envelope: Float[Array, ""]


@dataclass(frozen=True)
class WaveformLoss:
    """Weighted sum of distances to style and content.

    Called as `loss(wave, content, style, scale, network)`. Each term is divided by its value in `scale`.

    Attributes:
      sample_rate: in Hz.
      rhythm_weight: weight of the autocorrelation; the weight of each kind of Gram matrix is 1.
      bands_weight: weight of the content's mel bands.
      envelope_weight: weight of the content's level over time.
    """

    sample_rate: int
    rhythm_weight: float
    bands_weight: float
    envelope_weight: float

    def __call__(
        self, wave: Wave, content: ContentFeatures, style: StyleStatistics, scale: Terms, network: Network
    ) -> Float[Array, ""]:
        weights = (1.0, 1.0, self.rhythm_weight, self.bands_weight, self.envelope_weight)
        terms = compute_terms(wave, content, style, network, self.sample_rate)
        return sum(
            (weight * safe.divide(term, start) for weight, term, start in zip(weights, terms, scale, strict=True)),
            jnp.zeros(()),
        )


@dataclass(frozen=True)
class Waveform:
    """Settings of style transfer on the wave.

    The optimization starts from the content, equalized to the mean spectrum of the style.

    Attributes:
      sample_rate: in Hz.
      filters: number of random filters of each width at each resolution.
      linear_filters: number of random filters on the linear spectrogram.
      rhythm_weight: weight of the autocorrelation.
      bands_weight: weight of the content's mel bands.
      envelope_weight: weight of the content's level over time.
      content_weight: factor by which both content weights are multiplied.
      steps: number of L-BFGS steps.
      seed: random seed of the filters.
    """

    sample_rate: int = 22050
    filters: int = 32
    linear_filters: int = 256
    rhythm_weight: float = 0.3
    bands_weight: float = 0.03
    envelope_weight: float = 0.06
    content_weight: float = 1.0
    steps: int = 400
    seed: int = 0

    min_samples = max(SIZES)

    def __post_init__(self) -> None:
        if min(self.filters, self.linear_filters, self.steps) < 1:
            raise ValueError(
                f"filters={self.filters}, linear_filters={self.linear_filters} and steps={self.steps} must be at "
                "least 1"
            )

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """L-BFGS."""
        return LBFGS

    def pose(self, contents: Waves, styles: Sequence[Style]) -> Problem:
        """Build the optimization problem of contents, each with its own style."""
        network = random_network(jax.random.key(self.seed), self.filters, self.linear_filters)
        frames = resolution_transform(MIDDLE).frames(contents.shape[-1])
        measure = partial(measure_style, network=network, sample_rate=self.sample_rate, content_frames=frames)
        measured = measure_each(measure, styles)
        style = jax.tree.map(lambda *arrays: jnp.stack(arrays), *measured)
        content = jax.jit(jax.vmap(partial(content_features, sample_rate=self.sample_rate)))(contents)
        start = equalize(contents, styles)
        scale = _start_terms(start, content, style, network, self.sample_rate)
        bands_weight, envelope_weight = (
            self.content_weight * weight for weight in (self.bands_weight, self.envelope_weight)
        )
        loss = WaveformLoss(self.sample_rate, self.rhythm_weight, bands_weight, envelope_weight)
        return Problem(loss, start, (content, style, scale), (network,), lambda waves: waves)


def compute_terms(
    wave: Wave, content: ContentFeatures, style: StyleStatistics, network: Network, sample_rate: int
) -> Terms:
    """Compute the terms of the loss before they are weighted."""
    powers = [power(wave, resolution_transform(i)) for i in range(len(SIZES))]
    standard = [standardize(log_mel(powers[i], i, sample_rate), *moments) for i, moments in enumerate(style.moments)]
    distances = [
        gram_loss(mel_features(x, kernels), target) / jnp.sum(target**2)
        for x, kernels, target in zip(standard, network.mel, style.grams, strict=True)
    ]
    present = content_features_from_power(powers[MIDDLE], sample_rate)
    return Terms(
        grams=sum(distances[1:], distances[0]),
        linear=gram_loss(linear_features(powers[-1], network.linear), style.linear_gram),
        rhythm=jnp.sum((lagged_products(standard[MIDDLE]) / len(standard[MIDDLE]) - style.autocorrelation) ** 2),
        bands=jnp.sum((present.bands - content.bands) ** 2),
        envelope=jnp.sum((present.envelope - content.envelope) ** 2),
    )


@partial(jax.jit, static_argnames="sample_rate")
def _start_terms(
    start: Waves, content: ContentFeatures, style: StyleStatistics, network: Network, sample_rate: int
) -> Terms:
    """Compute the terms by which each term is divided: the distance at the start to the style, or content's energy."""
    terms = jax.lax.map(lambda x: compute_terms(x[0], x[1], x[2], network, sample_rate), (start, content, style))
    return terms._replace(
        bands=jnp.sum(content.bands**2, axis=(-2, -1)), envelope=jnp.sum(content.envelope**2, axis=-1)
    )
