"""Area under the ROC curve (AUC): how well scores separate real from generated examples."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Scores = Float[Array, " _"] | Float[np.ndarray, " _"]


def discriminator_auc(real_scores: Scores, fake_scores: Scores) -> float:
    """Compute the probability that a real example has a higher score than a generated one (Mann and Whitney 1947).

    This is the area under the ROC curve: 1 if the scores separate the sets, 0.5 if they carry no information. Ties
    count as 1/2.

    Args:
      real_scores: scores of real examples; a higher score means more likely to be real.
      fake_scores: scores of generated examples.

    Raises:
      ValueError: there are no scores, or a score is not finite.
    """
    real, fake = np.asarray(real_scores), np.sort(np.asarray(fake_scores))
    for name, scores in (("real_scores", real), ("fake_scores", fake)):
        if not len(scores):
            raise ValueError(f"{name} is empty, expected at least one score")
        if broken := int(np.sum(~np.isfinite(scores))):
            raise ValueError(f"{name} has {broken} non-finite values of {len(scores)}, expected numbers")
    below, up_to = (np.searchsorted(fake, real, side=side) for side in ("left", "right"))
    return float(np.mean(below + up_to) / (2 * len(fake)))


def pairwise_auc(real: Float[Array, " real"], fake: Float[Array, " fake"]) -> Float[Array, ""]:
    """Compute the AUC from the scores of one batch by comparing all pairs of scores. Works under `jit`."""
    difference = real[:, None] - fake[None, :]
    return jnp.mean((jnp.sign(difference) + 1.0) / 2.0)
