"""What the GAN knows about a clip of music: its embedding and, if wanted, how bright and how lively it is.

The triplet loss asks that the clips of an era lie together, so an embedding hardly tells the clips of an era apart. The
two features are those by which `matched` pairs are made.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.papers.mvnet.encoder import EncoderInference, Variables
from specjax.papers.mvnet.features import measure_music
from specjax.papers.mvnet.representation import ClipMel

FEATURES = 2  # logarithm of the spectral centroid, onset rate
_MIN_CENTROID_HZ = 1.0  # that of silence is 0

Conditions = Float[Array, "clips condition"]
MusicFeatures = Float[Array, "clips 2"] | Float[np.ndarray, "clips 2"]


@dataclass(frozen=True)
class FeatureStatistics:
    """Statistics of the features of the training clips, see `describe_music`.

    mean: mean of each feature.
    deviation: standard deviation of each feature.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.deviation) == FEATURES:
            raise ValueError(
                f"condition.statistics has {len(self.mean)} means and {len(self.deviation)} deviations, expected "
                f"{FEATURES} of each"
            )


@dataclass(frozen=True)
class ConditionConfig:
    """Settings of the condition, and how it takes part in training.

    scale: factor of the embedding. The encoder's margin is the distance that it keeps between eras; its inverse makes
      that 1.
    features: whether the condition includes the features of `describe_music`, standardized by `statistics`.
    statistics: statistics of the training clips. None: filled in from the data when training starts, if needed.
    noise: standard deviation of the noise that is added to the condition in training.
    fade_from, fade_to: shares of the training between which the condition is faded in, from 0 to its full strength
      (Shahbazi et al. 2022). Both 0: it always has its full strength.
    """

    scale: float = 1.0
    features: bool = False
    statistics: FeatureStatistics | None = None
    noise: float = 0.0
    fade_from: float = 0.0
    fade_to: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.fade_from <= self.fade_to <= 1:
            raise ValueError(
                f"condition.fade_from={self.fade_from} and fade_to={self.fade_to} must be in order and lie in [0, 1]"
            )
        if not (0 <= self.noise < np.inf and 0 < self.scale < np.inf):
            raise ValueError(
                f"condition.noise={self.noise} must not be negative, scale={self.scale} be above 0, and both be finite"
            )

    def size(self, embedding: int) -> int:
        """Return the number of values of a condition, given that of an embedding."""
        return embedding + FEATURES * self.features


def describe_music(mel_power: ClipMel) -> MusicFeatures:
    """Describe clips by the logarithm to base 2 of their spectral centroid in Hz, and by their onsets per second."""
    measured = measure_music(mel_power)
    return jnp.stack([jnp.log2(jnp.maximum(measured.centroid_hz, _MIN_CENTROID_HZ)), measured.onset_rate_hz], axis=-1)


def measure_feature_statistics(features: MusicFeatures) -> FeatureStatistics:
    """Measure the statistics of the features of training clips."""
    values = np.asarray(features, float)
    return FeatureStatistics(tuple(values.mean(axis=0).tolist()), tuple(values.std(axis=0).tolist()))


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
      The scaled embedding of each clip, followed by its standardized features if the settings want them.

    Raises:
      ValueError: the statistics of the features are needed and not set.
    """
    embedding = config.scale * encoder.embed_power(variables, mel_power)
    if not config.features:
        return embedding
    if config.statistics is None:
        raise ValueError("condition.statistics is not set: measure it on the training clips")
    mean, deviation = (jnp.asarray(x, jnp.float32)[None] for x in (config.statistics.mean, config.statistics.deviation))
    features = (describe_music(mel_power) - mean) / jnp.maximum(deviation, 1e-6)
    return jnp.concatenate([embedding, features], axis=1)
