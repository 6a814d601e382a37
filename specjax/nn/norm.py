"""Batch normalization of convolution outputs in training, and its folding into the convolutions for inference."""

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
    """Batch-normalize the output of a convolution in training (Ioffe and Szegedy 2015).

    Each channel is normalized to mean 0 and variance 1 over the batch and all positions, then scaled and shifted by
    learned parameters. Moving averages of mean and variance are stored in the collection `batch_stats`. The computation
    is in float32; the result has the dtype of `x`.

    This function creates a `flax.linen.BatchNorm`: call it only inside a compact method of a linen module.

    Args:
      x: output of the convolution.
      conv: layer name of the convolution; the batch normalization is named `conv` + "_norm".
    """
    batch_norm = nn.BatchNorm(
        use_running_average=False, momentum=MOMENTUM, epsilon=EPSILON, dtype=jnp.float32, name=f"{conv}{SUFFIX}"
    )
    return batch_norm(x.astype(jnp.float32)).astype(x.dtype)


def fold_batch_norm(params: dict[str, Tree], statistics: dict[str, Tree]) -> dict[str, Tree]:
    """Fold batch normalization into the preceding convolutions, for inference without normalization layers.

    The normalization of the convolution `NAME` is called `NAME_norm`.

    Args:
      params: parameters of the network: a dict from layer name to the parameters of the layer.
      statistics: collection `batch_stats` of the network: a dict from the name of a normalization layer to its `mean`
        and `var`.

    Returns:
      Parameters of an equivalent network without normalization. Layers without normalization are unchanged.
    """
    # With fixed mean and variance, batch normalization is an affine map of each channel.
    folded = {}
    for name, leaves in params.items():
        norm = f"{name}{SUFFIX}"
        if norm in params:
            gain = params[norm]["scale"] * jax.lax.rsqrt(statistics[norm]["var"] + EPSILON)
            leaves = {
                "kernel": leaves["kernel"] * gain.reshape(1, 1, 1, -1),
                "bias": (leaves["bias"] - statistics[norm]["mean"]) * gain + params[norm]["bias"],
            }
        if not name.endswith(SUFFIX):
            folded[name] = leaves
    return folded
