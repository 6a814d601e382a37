"""Losses of generative adversarial networks, and penalties of the discriminator's gradient.

A discriminator gives each example one number, its score; the scores of real examples shall be higher than those of
generated ones. All losses are means over the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from specjax.optim.schedules import ScheduleSpec

Scores = Float[Array, " batch"]
Scalar = Float[Array, ""]
Score = Callable[[Float[Array, "batch ..."]], Scores]
LossName = Literal["least_squares", "hinge", "non_saturating", "smoothed", "relativistic"]


_SMOOTHING = 0.2

_SCALES = (1e-3, 1e3)  # least and greatest factor of the penalty's weight


class AdversarialLoss(NamedTuple):
    """Pair of losses, each a function of the scores of real and of generated examples.

    discriminator: loss that the discriminator minimizes.
    generator: loss that the generator minimizes. Only `relativistic` depends on the scores of real examples.
    """

    discriminator: Callable[[Scores, Scores], Scalar]
    generator: Callable[[Scores, Scores], Scalar]


def _softplus_of_difference(high: Scores, low: Scores) -> Scalar:
    """Logistic loss that is small if the scores `high` are above their partners in `low`."""
    return jnp.mean(jax.nn.softplus(low - high))


def _cross_entropy(logits: Scores, target: float) -> Scalar:
    """Cross-entropy of the probabilities `target` and those that the logits stand for."""
    return jnp.mean(jax.nn.softplus(logits) - target * logits)


LOSSES: dict[LossName, AdversarialLoss] = {
    # Targets 1 and 0 (Mao et al. 2017).
    "least_squares": AdversarialLoss(
        lambda real, fake: 0.5 * (jnp.mean((real - 1) ** 2) + jnp.mean(fake**2)),
        lambda real, fake: 0.5 * jnp.mean((fake - 1) ** 2),
    ),
    # Lim and Ye 2017, Miyato et al. 2018.
    "hinge": AdversarialLoss(
        lambda real, fake: jnp.mean(jax.nn.relu(1 - real)) + jnp.mean(jax.nn.relu(1 + fake)),
        lambda real, fake: -jnp.mean(fake),
    ),
    # Scores are logits (Goodfellow et al. 2014).
    "non_saturating": AdversarialLoss(
        lambda real, fake: jnp.mean(jax.nn.softplus(-real)) + jnp.mean(jax.nn.softplus(fake)),
        lambda real, fake: jnp.mean(jax.nn.softplus(-fake)),
    ),
    # The same, with targets .8 and .2 in place of 1 and 0 for the discriminator, whose two terms are averaged.
    "smoothed": AdversarialLoss(
        lambda real, fake: 0.5 * (_cross_entropy(real, 1 - _SMOOTHING) + _cross_entropy(fake, _SMOOTHING)),
        lambda real, fake: jnp.mean(jax.nn.softplus(-fake)),
    ),
    # Each real example is compared with one generated example (Jolicoeur-Martineau 2018, Huang et al. 2024).
    "relativistic": AdversarialLoss(
        _softplus_of_difference,
        lambda real, fake: _softplus_of_difference(fake, real),
    ),
}


@dataclass(frozen=True)
class PenaltyConfig:
    """Gradient penalty of the discriminator, on real and on generated examples (R1 and R2, Mescheder et al. 2018).

    kind: `none`; `gradient` is half the mean squared norm of the gradient of the score with respect to the example;
      `difference` estimates it from the scores of the example with and without added noise, which needs no second
      derivatives.
    weight: schedule of the weight.
    adapt: relative change per update of a factor of the weight, which rises while the discriminator ranks more than
      `target_auc` of the pairs of a real and a generated example right, and falls otherwise (as in Musika, Pasini and
      Schlüter 2022). It is part of the training state, and lies between 0.001 and 1000. 0: the factor stays 1.
    target_auc: share of the pairs, between 0 and 1.
    """

    kind: Literal["none", "gradient", "difference"] = "none"
    weight: ScheduleSpec = ScheduleSpec(value=1.0)
    adapt: float = 0.0
    target_auc: float = 0.9

    def __post_init__(self) -> None:
        if self.kind not in ("none", "gradient", "difference"):
            raise ValueError(f"penalty.kind={self.kind!r} is unknown: choose none, gradient or difference")
        if not 0 <= self.adapt < 1 or not 0 < self.target_auc < 1:
            raise ValueError(
                f"penalty.adapt={self.adapt}, target_auc={self.target_auc} is out of range: adapt must lie in [0, 1) "
                "and target_auc in (0, 1)"
            )

    def adapt_scale(self, scale: Scalar, auc: Scalar) -> Scalar:
        """Return the factor of the weight after an update in which the discriminator ranked the share `auc` right."""
        if not self.adapt:
            return scale
        change = 1.0 + self.adapt
        return jnp.clip(jnp.where(auc > self.target_auc, scale * change, scale / change), *_SCALES)


class PenalizedScores(NamedTuple):
    """Scores of a batch of real and a batch of generated examples, with penalties.

    real, fake: scores.
    r1: mean squared norm of the scores' gradients with respect to the real examples (Mescheder et al. 2018).
    r2: the same for the generated examples.
    """

    real: Scores
    fake: Scores
    r1: Scalar
    r2: Scalar


def penalize_gradient(
    discriminator: Score, real: Float[Array, "n ..."], fake: Float[Array, "n ..."]
) -> PenalizedScores:
    """Compute scores and exact penalties.

    Args:
      discriminator: function from examples to scores. It is called with the real examples, followed by the generated
        ones. The score of an example must not depend on the others.
      real: real examples.
      fake: generated examples.
    """
    scores, pull_back = jax.vjp(discriminator, jnp.concatenate([real, fake]))
    (gradients,) = pull_back(jnp.ones_like(scores))
    return _split(scores, jnp.sum(gradients.reshape(len(scores), -1) ** 2, axis=1))


def penalize_difference(
    discriminator: Score,
    real: Float[Array, "n ..."],
    fake: Float[Array, "n ..."],
    key: Key[Array, ""],
    sigma: float = 0.01,
) -> PenalizedScores:
    """Compute scores, and unbiased estimates of the penalties from differences of scores.

    For normally distributed noise e, the expected value of `((D(x + sigma e) - D(x)) / sigma)^2` tends to the squared
    norm of the gradient of D at x, as sigma tends to 0. Training with it needs no second derivatives.

    Args:
      discriminator: function from examples to scores, see `penalize_gradient`. It is called twice.
      real: real examples.
      fake: generated examples.
      key: random key of the noise.
      sigma: standard deviation of the noise.
    """
    x = jnp.concatenate([real, fake])
    scores = discriminator(x)
    shifted = discriminator(x + sigma * jax.random.normal(key, x.shape))
    return _split(scores, ((shifted - scores) / sigma) ** 2)


def _split(scores: Scores, penalties: Scores) -> PenalizedScores:
    real, fake = jnp.split(scores, 2)
    return PenalizedScores(real, fake, *jnp.mean(penalties.reshape(2, -1), axis=1))
