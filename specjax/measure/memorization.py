"""Detection of generated examples that are copies of training examples."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32, Shaped

from specjax.measure.embeddings import Embeddings, check_embeddings
from specjax.measure.neighbors import map_squared_distances

Train = Float32[Array, "train width"]


def memorization_ratios(
    fake: Embeddings, train: Embeddings, train_group: Shaped[np.ndarray, " train"]
) -> Float32[np.ndarray, " fake"]:
    """Compute how near each generated example is to the training set, relative to new real examples.

    The ratio is the distance from a generated example to the nearest training example, divided by the median distance
    from a training example to the nearest one of another group. Copies have ratios near 0, and new examples
    around 1. If the median ratio is 0.8 or more, the set as a whole is not copied. Individual copies show in the lowest
    ratios.

    Args:
      fake: embeddings of generated examples.
      train: embeddings of training examples.
      train_group: label of the group of each training example, such as a number or name. Examples from one source form
        a group, such as clips of one recording or crops of one picture. If every example has its own source, all labels
        differ.

    Raises:
      ValueError: a set is empty, the widths differ, a value is not finite, there is not one label per training example,
        all are of one group, or more than half equal an example of another group.
    """
    fake_points, train_points = (jnp.asarray(x, jnp.float32) for x in check_embeddings(1, fake=fake, train=train))
    if len(train_group) != len(train):
        raise ValueError(f"train_group has {len(train_group)} labels, expected {len(train)}, one per training example")
    names, groups = np.unique(train_group, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            "all training examples are of one group, expected at least two: give each source its own label"
        )
    typical = float(np.median(_distances_between_groups(train_points, jnp.asarray(groups, jnp.int32))))
    if typical == 0:
        raise ValueError("most training examples equal one of another group: remove duplicates, or join their groups")
    return np.asarray(_distances_to_nearest(fake_points, train_points)) / np.float32(typical)


@jax.jit
def _distances_to_nearest(fake: Float32[Array, "fake width"], train: Train) -> Float32[Array, " fake"]:
    """Compute the distance from each generated example to the nearest training example."""
    return jnp.sqrt(map_squared_distances(jnp.min, fake, train))


@jax.jit
def _distances_between_groups(train: Train, groups: Int32[Array, " train"]) -> Float32[Array, " train"]:
    """Compute the distance from each training example to the nearest one of another group."""

    def nearest(squared: Float32[Array, " train"], group: Int32[Array, ""]) -> Float32[Array, ""]:
        return jnp.min(jnp.where(groups == group, jnp.inf, squared))

    return jnp.sqrt(map_squared_distances(nearest, train, train, groups))
