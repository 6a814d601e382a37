"""Triplet margin losses (section 4.1): they pull embeddings of an era together, and push those of other eras away.

A triplet is an anchor, a positive (another clip of the same era) and a negative (a clip of another era). Its loss is
`max(0, d(anchor, positive) - d(anchor, negative) + margin)`. The distance d is the p-norm of the difference, as in the
authors' code, or the p-norm raised to the power p, as in the paper's formula.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from specjax.arrays import safe

Mining = Literal["random", "semi_hard", "batch_hard"]
Embeddings = Float[Array, "batch width"]
Eras = Int[Array, " batch"]
Scalar = Float[Array, ""]

MININGS = ("random", "semi_hard", "batch_hard")
_OFFSET = 1e-6  # added to differences before the norm, as in torch.nn.TripletMarginLoss


@dataclass(frozen=True)
class TripletConfig:
    """Settings of the triplet margin loss.

    mining: how triplets are chosen.
      `random`: as in the paper, each clip of the batch is an anchor, with a random positive and a random negative.
      `semi_hard`: all pairs of an anchor and a positive in the batch, each with the nearest negative that is farther
        away than the positive; if there is none, with the farthest negative (Schroff et al. 2015).
      `batch_hard`: each clip of the batch is an anchor, with the farthest positive and the nearest negative in the
        batch (Hermans et al. 2017).
    margin: margin of the loss.
    p: exponent of the norm, at least 1.
    raise_to_p: whether the norm is raised to the power p.
    """

    mining: Mining = "semi_hard"
    margin: float = 3.0
    p: float = 5.0
    raise_to_p: bool = False

    def __post_init__(self) -> None:
        if self.mining not in MININGS:
            raise ValueError(f"triplets.mining={self.mining!r} is unknown: choose one of {', '.join(MININGS)}")
        if not (0 < self.margin < math.inf and 1 <= self.p < math.inf):
            raise ValueError(
                f"triplets.margin={self.margin} must be above 0, triplets.p={self.p} at least 1, and both finite"
            )

    def distance(self, a: Float[Array, "*a width"], b: Float[Array, "*b width"]) -> Float[Array, "..."]:
        """Compute the distances of embeddings. Leading axes are broadcast; where one is missing, it has size 1."""
        size = jnp.abs(a - b + _OFFSET)
        if self.raise_to_p:
            return jnp.sum(size**self.p, axis=-1)
        # Dividing the differences by the largest one prevents overflow and underflow. The divisor cancels
        # out, so no gradient is needed through it.
        largest = jax.lax.stop_gradient(jnp.max(size, axis=-1))
        total = jnp.sum(safe.divide(size, largest[..., None]) ** self.p, axis=-1)
        return largest * jnp.where(largest > 0, total, 1.0) ** (1 / self.p)

    def hinge(self, positive: Float[Array, "*shape"], negative: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Compute the losses of triplets from the distances of the anchor to the positive and to the negative."""
        return jax.nn.relu(positive - negative + self.margin)


def triplet_loss(config: TripletConfig, anchor: Embeddings, positive: Embeddings, negative: Embeddings) -> Scalar:
    """Compute the mean loss of given triplets, as `torch.nn.TripletMarginLoss` does unless `raise_to_p` is set."""
    return jnp.mean(config.hinge(config.distance(anchor, positive), config.distance(anchor, negative)))


def mined_loss(config: TripletConfig, embeddings: Embeddings, era: Eras) -> Scalar:
    """Compute the mean loss of the triplets that are mined in a batch, by `semi_hard` or `batch_hard`.

    The loss is 0 for a batch without triplets, which has only one era, or no two clips of the same era.
    """
    distance = config.distance(embeddings[:, None], embeddings[None])
    same = era[:, None] == era[None]
    return MINERS[config.mining](config, distance, same & ~jnp.eye(len(era), dtype=bool), ~same)


def _semi_hard(
    config: TripletConfig,
    distance: Float[Array, "batch batch"],
    positive: Bool[Array, "batch batch"],
    negative: Bool[Array, "batch batch"],
) -> Scalar:
    farther = negative[:, None, :] & (distance[:, None, :] > distance[:, :, None])  # anchor, positive, negative
    nearest = jnp.min(jnp.where(farther, distance[:, None, :], jnp.inf), axis=-1)
    farthest = jnp.max(jnp.where(negative, distance, -jnp.inf), axis=-1)
    chosen = jnp.where(jnp.any(farther, axis=-1), nearest, farthest[:, None])
    return _masked_mean(config, distance, chosen, positive & jnp.any(negative, axis=-1)[:, None])


def _batch_hard(
    config: TripletConfig,
    distance: Float[Array, "batch batch"],
    positive: Bool[Array, "batch batch"],
    negative: Bool[Array, "batch batch"],
) -> Scalar:
    farthest = jnp.max(jnp.where(positive, distance, -jnp.inf), axis=-1)
    nearest = jnp.min(jnp.where(negative, distance, jnp.inf), axis=-1)
    return _masked_mean(config, farthest, nearest, jnp.any(positive, axis=-1) & jnp.any(negative, axis=-1))


def _masked_mean(
    config: TripletConfig,
    positive: Float[Array, "*shape"],
    negative: Float[Array, "*shape"],
    valid: Bool[Array, "*shape"],
) -> Scalar:
    """Average the losses of valid triplets. The distances of others may be infinite."""
    losses = config.hinge(jnp.where(valid, positive, 0.0), jnp.where(valid, negative, 0.0))
    return safe.divide(jnp.sum(jnp.where(valid, losses, 0.0)), jnp.sum(valid).astype(jnp.float32))


MINERS: dict[str, Callable[..., Scalar]] = {"semi_hard": _semi_hard, "batch_hard": _batch_hard}


def draw_partners(
    keys: Key[Array, " batch"], anchors: Int[Array, " batch"], clip_era: Int[Array, " clips"], eras: int
) -> tuple[Int[Array, " batch"], Int[Array, " batch"]]:
    """Draw a random positive and a random negative for each anchor.

    Args:
      keys: random keys of the anchors.
      anchors: indices of the anchors.
      clip_era: era of each clip, in ascending order. Each era has at least two clips.
      eras: number of eras.

    Returns:
      Indices of the positives, which differ from the anchors, and of the negatives.
    """
    starts = jnp.searchsorted(clip_era, jnp.arange(eras + 1))

    def draw(key: Key[Array, ""], anchor: Int[Array, ""]) -> tuple[Array, Array]:
        positive_key, negative_key = jax.random.split(key)
        start, end = starts[clip_era[anchor]], starts[clip_era[anchor] + 1]
        step = jax.random.randint(positive_key, (), 1, end - start)
        positive = start + (anchor - start + step) % (end - start)
        negative = jax.random.randint(negative_key, (), 0, len(clip_era) - (end - start))
        return positive, jnp.where(negative < start, negative, negative + end - start)

    return jax.vmap(draw)(keys, anchors)
