"""Condition of the GAN: the embedding of a clip of music and, optionally, its brightness and its onset rate.

The triplet loss pulls the clips of an era together, so embeddings hardly distinguish them. The two features are those
that the pairing `matched` uses.

The margin of the triplet loss is a minimum: longer training moves the eras farther apart. If the condition outweighs
the latent variables, all pictures from a clip look the same. So embeddings are scaled to a known spread.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.papers.mvnet.encoder import EncoderInference, Variables
from specjax.papers.mvnet.features import measure_music
from specjax.papers.mvnet.representation import ClipMel

FEATURES = 2  # logarithm of the spectral centroid, onset rate
_MIN_CENTROID_HZ = 100.0  # below that of any music; the centroid of silence, 0, would distort the statistics
_MIN_DEVIATION = 1e-6  # avoids division by zero for values that are equal for all clips

Conditions = Float[Array, "clips condition"]
Embeddings = Float[Array, "clips embedding"] | Float[np.ndarray, "clips embedding"]
MusicFeatures = Float[Array, "clips 2"] | Float[np.ndarray, "clips 2"]


@dataclass(frozen=True)
class ConditionStatistics:
    """Statistics of the training clips.

    embedding_mean: mean of the embeddings.
    embedding_spread: root mean square distance of the embeddings from their mean.
    feature_mean, feature_deviation: mean and standard deviation of each feature of `describe_music`.
    """

    embedding_mean: tuple[float, ...]
    embedding_spread: float
    feature_mean: tuple[float, ...]
    feature_deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.feature_mean) == len(self.feature_deviation) == FEATURES:
            raise ValueError(
                f"condition.statistics has {len(self.feature_mean)} means and {len(self.feature_deviation)} deviations "
                f"of features, expected {FEATURES} of each"
            )


@dataclass(frozen=True)
class ConditionConfig:
    """Settings of the condition and its use in training.

    spread: the mean over the training clips is subtracted from the embeddings, which are then scaled so that their root
      mean square distance from the mean is `spread`. 0: the embeddings are used unchanged.
    features: whether the condition includes the features of `describe_music`, standardized.
    statistics: statistics of the training clips. None: computed from the data when training starts, if needed.
    noise: standard deviation of the noise that is added to the condition in training.
    fade_from, fade_to: fractions of the training between which the condition is scaled up linearly from 0 to 1
      (Shahbazi et al. 2022). Both 0: it is never scaled.
    """

    spread: float = 0.0
    features: bool = False
    statistics: ConditionStatistics | None = None
    noise: float = 0.0
    fade_from: float = 0.0
    fade_to: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.fade_from <= self.fade_to <= 1:
            raise ValueError(
                f"condition.fade_from={self.fade_from} and fade_to={self.fade_to} must be in order and lie in [0, 1]"
            )
        if not (0 <= self.noise < np.inf and 0 <= self.spread < np.inf):
            raise ValueError(
                f"condition.noise={self.noise} and spread={self.spread} must be finite and not be negative"
            )

    @property
    def needs_statistics(self) -> bool:
        """Whether the condition depends on statistics of the training clips."""
        return self.features or self.spread > 0

    def size(self, embedding: int) -> int:
        """Return the width of a condition, given the width of an embedding."""
        return embedding + FEATURES * self.features


def describe_music(mel_power: ClipMel) -> MusicFeatures:
    """Compute two features of each clip: log2 of the spectral centroid in Hz, and the number of onsets per second."""
    measured = measure_music(mel_power)
    return jnp.stack([jnp.log2(jnp.maximum(measured.centroid_hz, _MIN_CENTROID_HZ)), measured.onset_rate_hz], axis=-1)


def measure_condition_statistics(embeddings: Embeddings, features: MusicFeatures) -> ConditionStatistics:
    """Measure the statistics of the embeddings and features of training clips."""
    embedding, feature = np.asarray(embeddings, float), np.asarray(features, float)
    return ConditionStatistics(
        tuple(embedding.mean(axis=0).tolist()),
        float(np.sqrt(np.sum(embedding.var(axis=0)))),
        tuple(feature.mean(axis=0).tolist()),
        tuple(feature.std(axis=0).tolist()),
    )


def compute_conditions(
    config: ConditionConfig, encoder: EncoderInference, variables: Variables, mel_power: ClipMel
) -> Conditions:
    """Compute the conditions of clips.

    Args:
      config: settings.
      encoder: the encoder.
      variables: variables of its network.
      mel_power: mel power of the clips, of shape (clips, 128, 256, 3).

    Returns:
      The embedding of each clip, scaled if `config.spread` is set, followed by its standardized features if
      `config.features` is set.

    Raises:
      ValueError: statistics of the training clips are needed and not set.
    """
    embedding, statistics = encoder.embed_power(variables, mel_power), config.statistics
    if not config.needs_statistics:
        return embedding
    if statistics is None:
        raise ValueError("condition.statistics is not set: measure it on the training clips")
    if config.spread:
        mean = jnp.asarray(statistics.embedding_mean, jnp.float32)[None]
        embedding = (embedding - mean) * (config.spread / max(statistics.embedding_spread, _MIN_DEVIATION))
    if not config.features:
        return embedding
    mean, deviation = (
        jnp.asarray(x, jnp.float32)[None] for x in (statistics.feature_mean, statistics.feature_deviation)
    )
    features = (describe_music(mel_power) - mean) / jnp.maximum(deviation, _MIN_DEVIATION)
    return jnp.concatenate([embedding, features], axis=1)
