"""Batch normalisation while training, and the same network without it when nothing trains any more."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

SUFFIX = "_norm"
EPSILON = 1e-5
MOMENTUM = 0.99
Tree = Any


def normalize_batch(
    x: Float[Array, "batch height width channels"], conv: str
) -> Float[Array, "batch height width channels"]:
    """What a convolution named `conv` gave, its channels brought to mean 0 and variance 1 over batch and places, then
    scaled and shifted as learned (Ioffe and Szegedy 2015). To be called where a linen module is being built.

    It is computed in float32; a moving average of what is normal is kept in the collection `batch_stats`.
    """
    over_batch = nn.BatchNorm(
        use_running_average=False, momentum=MOMENTUM, epsilon=EPSILON, dtype=jnp.float32, name=f"{conv}{SUFFIX}"
    )
    return over_batch(x.astype(jnp.float32)).astype(x.dtype)


def fold_batch_norm(params: dict[str, Tree], statistics: dict[str, Tree]) -> dict[str, Tree]:
    """Parameters of the network that does the same without normalisation.

    A normalisation by fixed statistics is linear, and becomes a part of the convolution that it follows. A network
    without any is left as it is.
    """
    found = {}
    for name, leaves in params.items():
        norm = f"{name}{SUFFIX}"
        if norm in params:
            gain = params[norm]["scale"] * jax.lax.rsqrt(statistics[norm]["var"] + EPSILON)
            leaves = {
                "kernel": leaves["kernel"] * gain.reshape(1, 1, 1, -1),
                "bias": (leaves["bias"] - statistics[norm]["mean"]) * gain + params[norm]["bias"],
            }
        if not name.endswith(SUFFIX):
            found[name] = leaves
    return found
