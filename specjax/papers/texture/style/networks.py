"""One-dimensional convolutions over time, with frequency bins as channels, and the Gram matrices of their features."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from specjax.arrays.axes import pad_axis

# Gram matrices are subtracted from each other. By default accelerators round the factors to 8 or 10 bits.
_EXACT = jax.lax.Precision.HIGHEST

Frames = Float[Array, "frames channels"]
Features = Float[Array, "_ filters"]
Kernel = Float[Array, "width channels filters"]
Gram = Float[Array, "filters filters"]
Params = dict[str, dict[str, Array]]


def convolve(x: Frames, kernel: Kernel, padding: Literal["SAME", "VALID"] = "SAME", dilation: int = 1) -> Features:
    """Convolve (as cross-correlation) along time, as a single matrix product.

    XLA's own convolutions are slow on CPU, above all inside of loops.

    Args:
      x: frames in rows.
      kernel: shape `(width, channels, filters)`.
      padding: `SAME` pads with zeros to keep the number of frames. `VALID` returns `(width - 1) * dilation` fewer.
      dilation: distance in frames between adjacent taps of the kernel.
    """
    width, channels, filters = kernel.shape
    span = (width - 1) * dilation
    if padding == "SAME":
        x = pad_axis(x, span // 2, span - span // 2, axis=0)
    frames = len(x) - span
    unfolded = jnp.concatenate([x[i : i + frames] for i in range(0, span + 1, dilation)], axis=1)
    return unfolded @ kernel.reshape(width * channels, filters)


def max_pool(x: Frames) -> Float[Array, "half channels"]:
    """Reduce every two frames to their maximum; an odd frame at the end is kept as it is."""
    even = pad_axis(x, 0, len(x) % 2, axis=0, fill=-jnp.inf)
    return jnp.maximum(even[0::2], even[1::2])


def gram(features: Features) -> Gram:
    """Compute the sums over all frames of the products of every two features."""
    return jnp.matmul(features.T, features, precision=_EXACT)


@jax.custom_vjp
def gram_distance(features: Features, target: Gram) -> Float[Array, ""]:
    """Compute the squared distance of the mean Gram matrix of features, `gram(features) / frames`, to `target`.

    Both matrices are symmetric, so the gradient with respect to the features is a single product: `4 features @ (G -
    target) / frames`. Automatic differentiation would compute two. There is no gradient with respect to `target`.
    """
    return _gram_distance(features, target)[0]


def _gram_distance(features: Features, target: Gram) -> tuple[Float[Array, ""], tuple[Array, Array]]:
    difference = gram(features) / len(features) - target
    return jnp.sum(difference**2), (features, difference)


def _gram_distance_gradient(saved: tuple[Array, Array], cotangent: Float[Array, ""]) -> tuple[Array, None]:
    features, difference = saved
    return (4.0 / len(features) * cotangent) * (features @ difference), None


gram_distance.defvjp(_gram_distance, _gram_distance_gradient)


def random_kernel(key: Key[Array, ""], width: int, bins: int, filters: int) -> Kernel:
    """Draw the kernel of Ulyanov and Lebedev: normal with variance `4 / ((bins + filters) * width)`."""
    deviation = 2.0 / ((bins + filters) * width) ** 0.5
    return (deviation * jax.random.normal(key, (width * bins, filters))).reshape(width, bins, filters)


def random_params(
    key: Key[Array, ""], bins: int = 257, filters: tuple[int, int] = (2048, 64), width: int = 5
) -> Params:
    """Draw the two layers of Wyse's network without training: every weight and bias uniform in [-0.1, 0.1].

    Args:
      bins: number of frequency bins.
      filters: number of filters in each layer.
      width: width of the kernels in frames.
    """

    def draw(key: Key[Array, ""], *shape: int) -> Array:
        return jax.random.uniform(key, shape, minval=-0.1, maxval=0.1)

    keys = jax.random.split(key, 4)
    first, second = filters
    return {
        "conv1": {
            "kernel": draw(keys[0], width * bins, first).reshape(width, bins, first),
            "bias": draw(keys[1], first),
        },
        "conv2": {
            "kernel": draw(keys[2], width * first, second).reshape(width, first, second),
            "bias": draw(keys[3], second),
        },
    }


def activations(
    x: Float[Array, "frames bins"], params: Params
) -> tuple[Float[Array, "frames first"], Float[Array, "half second"]]:
    """Compute the activations of both layers of Wyse's network, after the ReLU and before max pooling.

    Args:
      x: frames of the spectrogram in rows.
      params: `{"conv1": {"kernel", "bias"}, "conv2": {"kernel", "bias"}}`.
    """

    def layer(x: Frames, weights: dict[str, Array]) -> Array:
        return jax.nn.relu(convolve(x, weights["kernel"]) + weights["bias"][None])

    first = layer(x, params["conv1"])
    return first, layer(max_pool(first), params["conv2"])
