"""Batch normalization of maps in training, with a fast gradient, and its folding into convolutions for inference."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

SUFFIX = "_norm"
EPSILON = 1e-5
MOMENTUM = 0.99
Tree = Any
Maps = Float[Array, "batch height width channels"]
Channels = Float[Array, " channels"]


class BatchNormLeakyReLU(nn.Module):
    """Batch normalization followed by a LeakyReLU, with the variables of `flax.linen.BatchNorm`.

    Its gradient is written by hand: XLA's CPU compiler takes up to three times as long for that of the two layers.

    Attributes:
      slope: slope of the LeakyReLU for negative values; 0 is a ReLU.
      momentum: share of the old value in an update of the moving averages.
      groups: number of equal parts of the batch, one after the other. In training each is normalized by its own mean
        and variance, as if the layer were applied to each part in turn.
    """

    slope: float
    momentum: float = 0.9
    groups: int = 1

    @nn.compact
    def __call__(self, x: Maps, training: bool = False) -> Maps:
        """Normalize maps.

        Args:
          x: the maps.
          training: whether to normalize by the mean and variance of the batch, and to update their moving averages in
            the collection `batch_stats`. Otherwise the moving averages are used.
        """
        channels = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, channels, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, channels, jnp.float32)
        mean = self.variable("batch_stats", "mean", jnp.zeros, channels, jnp.float32)
        var = self.variable("batch_stats", "var", jnp.ones, channels, jnp.float32)
        if not training:
            return nn.leaky_relu(_affine(x, scale, bias, mean.value, var.value), self.slope)
        groups = x.reshape(self.groups, -1, *x.shape[1:])
        y, means, variances = jax.vmap(lambda part: batch_norm_leaky_relu(part, scale, bias, self.slope))(groups)
        if not self.is_initializing():
            for average, values in ((mean, means), (var, variances)):
                for value in values:
                    average.value = self.momentum * average.value + (1 - self.momentum) * value
        return y.reshape(x.shape)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def batch_norm_leaky_relu(x: Maps, scale: Channels, bias: Channels, slope: float) -> tuple[Maps, Channels, Channels]:
    """Normalize each channel of a batch to mean 0 and variance 1, then scale, shift, and apply a LeakyReLU.

    Args:
      x: maps, of dtype float32.
      scale: factor of each channel.
      bias: what is added to each channel.
      slope: slope of the LeakyReLU for negative values.

    Returns:
      The result, and the mean and the variance of each channel of `x`, which have no gradients.
    """
    mean = jnp.mean(x, (0, 1, 2))
    var = jax.nn.relu(jnp.mean(x**2, (0, 1, 2)) - mean**2)
    return nn.leaky_relu(_affine(x, scale, bias, mean, var), slope), mean, var


def _forward(x: Maps, scale: Channels, bias: Channels, slope: float) -> tuple[Any, ...]:
    y, mean, var = batch_norm_leaky_relu(x, scale, bias, slope)
    return (y, mean, var), (x, scale, bias, mean, var)


def _backward(slope: float, saved: tuple[Array, ...], gradients: tuple[Array, ...]) -> tuple[Maps, Channels, Channels]:
    x, scale, bias, mean, var = saved
    dy = gradients[0] * jnp.where(_affine(x, scale, bias, mean, var) >= 0, 1.0, slope)
    deviation = jnp.sqrt(var + EPSILON)
    count = x.size // x.shape[-1]
    dbias = jnp.sum(dy, (0, 1, 2))
    dscale = (jnp.sum(dy * x, (0, 1, 2)) - mean * dbias) / deviation
    # The gradient minus its parts along the mean and along the normalized maps.
    slope_of_x = dscale / (count * deviation)
    offset = dbias / count - mean * slope_of_x
    dx = (dy - x * slope_of_x.reshape(1, 1, 1, -1) - offset.reshape(1, 1, 1, -1)) * (scale / deviation).reshape(
        1, 1, 1, -1
    )
    return dx, dscale, dbias


batch_norm_leaky_relu.defvjp(_forward, _backward)


def _affine(x: Maps, scale: Channels, bias: Channels, mean: Channels, var: Channels) -> Maps:
    gain = scale * jax.lax.rsqrt(var + EPSILON)
    return x * gain.reshape(1, 1, 1, -1) + (bias - mean * gain).reshape(1, 1, 1, -1)


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
