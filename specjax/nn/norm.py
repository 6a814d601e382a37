"""Batch normalization for training, and its folding into convolutions for inference."""

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
    """Batch-normalize the output of a convolution (Ioffe and Szegedy 2015).

    Each channel is brought to mean 0 and variance 1 over batch and positions, then scaled and shifted by learned
    parameters. The computation is in float32. Moving averages of mean and variance are kept in the collection
    `batch_stats`.

    Call it only inside a compact method of a linen module.

    Args:
      x: output of the convolution.
      conv: name of the convolution; the normalization is named `conv` + `SUFFIX`.
    """
    batch_norm = nn.BatchNorm(
        use_running_average=False, momentum=MOMENTUM, epsilon=EPSILON, dtype=jnp.float32, name=f"{conv}{SUFFIX}"
    )
    return batch_norm(x.astype(jnp.float32)).astype(x.dtype)


def fold_batch_norm(params: dict[str, Tree], statistics: dict[str, Tree]) -> dict[str, Tree]:
    """Fold batch normalization into the convolutions that precede it.

    Normalization with fixed statistics is affine, so it becomes part of the kernel and the bias of its convolution.
    Layers without normalization are returned unchanged.

    Args:
      params: parameters of the network, by layer.
      statistics: its collection `batch_stats`, with `mean` and `var` by normalization layer.

    Returns:
      Parameters of an equivalent network without normalization.
    """
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
