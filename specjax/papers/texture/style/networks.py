"""Networks of convolutions over time, with frequency bins as channels, and the Gram matrices of their features."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from specjax.arrays.axes import pad_axis
from specjax.nn.pool import max_pool
from specjax.nn.time_conv import time_conv

# Gram matrices are subtracted from each other. By default accelerators round the factors to 8 or 10 bits.
_EXACT = jax.lax.Precision.HIGHEST

Frames = Float[Array, "frames channels"]
Features = Float[Array, "_ filters"]
Kernel = Float[Array, "width channels filters"]
Gram = Float[Array, "filters filters"]
Rows = Float[Array, "_ filters"]
Params = dict[str, dict[str, Array]]


# Style transfer is a loop over optimizer steps, in which XLA's own convolutions are slow on CPU.
convolve = partial(time_conv, implementation="unfolded")


def gram(features: Features) -> Gram:
    """Compute the sums over all frames of the products of all pairs of features."""
    return jnp.matmul(features.T, features, precision=_EXACT)


@jax.custom_vjp
def gram_loss(features: Features, target: Gram) -> Float[Array, ""]:
    """Compute the squared distance of the mean Gram matrix of features, `gram(features) / frames`, to `target`.

    Both matrices are symmetric, so the gradient with respect to the features is a single product: `4 features @ (G -
    target) / frames`. Automatic differentiation would compute two. There is no gradient with respect to `target`.
    """
    return _gram_loss(features, target)[0]


def _gram_loss(features: Features, target: Gram) -> tuple[Float[Array, ""], tuple[Array, Array]]:
    difference = gram(features) / len(features) - target
    return jnp.sum(difference**2), (features, difference)


def _gram_loss_gradient(saved: tuple[Array, Array], cotangent: Float[Array, ""]) -> tuple[Array, None]:
    features, difference = saved
    return (4.0 / len(features) * cotangent) * (features @ difference), None


gram_loss.defvjp(_gram_loss, _gram_loss_gradient)


class FactoredGram(NamedTuple):
    """Mean Gram matrix of more filters than frames, as a product `rows.T @ rows`.

    A sound of 5 s has a few hundred frames, and a layer of 4096 filters has a Gram matrix of 17 million numbers.

    Attributes:
      rows: one row per frame, or one per filter if there are fewer filters.
      energy: squared Frobenius norm of the Gram matrix.
    """

    rows: Float[Array, "*batch rows filters"]
    energy: Float[Array, "*batch"]


def add_rows(rows: Rows, features: Features) -> Rows:
    """Append features to rows. If there are more rows than filters, reduce them to that number by QR decomposition.

    The product `rows.T @ rows` is the sum of both Gram matrices in either case.
    """
    joined = jnp.concatenate([rows, features])
    return _triangle(joined) if len(joined) > joined.shape[1] else joined


@jax.jit
def _triangle(rows: Rows) -> Rows:
    return jnp.linalg.qr(rows, mode="r")


def factor_gram(rows: Rows, frames: int) -> FactoredGram:
    """Return the mean over `frames` frames of the Gram matrix `rows.T @ rows`."""
    scaled = rows / jnp.sqrt(jnp.float32(frames))
    return FactoredGram(scaled, jnp.sum(_smaller_gram(scaled) ** 2))


def stack_factored(grams: Sequence[FactoredGram]) -> FactoredGram:
    """Stack Gram matrices along a new first axis, padded with rows of zeros to the same number of rows."""
    count = max(len(gram.rows) for gram in grams)
    rows = jnp.stack([pad_axis(gram.rows, 0, count - len(gram.rows), axis=0) for gram in grams])
    return FactoredGram(rows, jnp.stack([gram.energy for gram in grams]))


def factored_gram_loss(features: Features, target: FactoredGram) -> Float[Array, ""]:
    """Compute `gram_loss` without a matrix of filters by filters if there are fewer frames than filters.

    With A the features divided by the square root of their number of frames, and S the rows of the target, the squared
    distance of the Gram matrices is `|A A.T|^2 - 2 |A S.T|^2 + |S S.T|^2` (Frobenius norms). For 846 frames and 4096
    filters, the products of value and gradient need 2.4 times fewer operations. There is no gradient with respect to
    `target`.
    """
    if len(features) > features.shape[1]:
        return gram_loss(features, gram(target.rows))
    return _loss_from_frames(features, target)


@jax.custom_vjp
def _loss_from_frames(features: Features, target: FactoredGram) -> Float[Array, ""]:
    return _loss_and_products(features, target)[0]


def _loss_and_products(
    features: Features, target: FactoredGram
) -> tuple[Float[Array, ""], tuple[Array, Array, Array, Array]]:
    frames = len(features)
    scaled = features / jnp.sqrt(jnp.float32(frames))
    own = jnp.matmul(scaled, scaled.T, precision=_EXACT)
    cross = jnp.matmul(scaled, target.rows.T, precision=_EXACT)
    # Near the target the terms cancel, and a line search needs small differences of the value. Each frame's share is
    # subtracted before the sum over frames: this rounds ten times more finely than the difference of the three sums.
    shares = jnp.sum(own**2, axis=1) - 2.0 * jnp.sum(cross**2, axis=1) + target.energy / frames
    return jnp.sum(shares), (scaled, target.rows, own, cross)


def _gradient_from_products(
    saved: tuple[Array, Array, Array, Array], cotangent: Float[Array, ""]
) -> tuple[Array, None]:
    scaled, rows, own, cross = saved
    return (4.0 / jnp.sqrt(jnp.float32(len(scaled))) * cotangent) * (own @ scaled - cross @ rows), None


_loss_from_frames.defvjp(_loss_and_products, _gradient_from_products)


def _smaller_gram(rows: Rows) -> Float[Array, "n n"]:
    """Compute the inner products of all pairs of rows, or of all pairs of filters if there are fewer."""
    few = rows if len(rows) <= rows.shape[1] else rows.T
    return jnp.matmul(few, few.T, precision=_EXACT)


def random_kernel(key: Key[Array, ""], width: int, bins: int, filters: int) -> Kernel:
    """Draw the kernel of Ulyanov and Lebedev: normal with variance `4 / ((bins + filters) * width)`."""
    deviation = 2.0 / ((bins + filters) * width) ** 0.5
    return (deviation * jax.random.normal(key, (width * bins, filters))).reshape(width, bins, filters)


def random_params(
    key: Key[Array, ""], bins: int = 257, filters: tuple[int, int] = (2048, 64), width: int = 5
) -> Params:
    """Draw the two layers of Wyse's untrained network: all weights and biases are uniform in [-0.1, 0.1].

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
    return first, layer(max_pool(first, (0,)), params["conv2"])
