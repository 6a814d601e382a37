"""Structural similarity (SSIM, Wang et al. 2004) and multiscale structural similarity (MS-SSIM, Wang et al. 2003).

The functions compare float images of shape (*batch, height, width) within a sliding Gaussian window without padding
("valid"). They return one value per image, at most 1. They compute in float32 whatever the input type.

The gradient of MS-SSIM has a closed form, which is used here. Automatic differentiation of a filter made of shifted
sums would write every shift to memory. The closed form needs only three adjoint filters per scale, which fuse.
"""

import functools
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, Float

from specjax.arrays.batching import map_examples

PAPER_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003; the finest scale comes first.
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03

Plane = Float[Array, "height width"]
Resized = Float[Array, "new_height new_width"]


class _Moments(NamedTuple):
    """Windowed statistics of two images."""

    mean_x: Plane
    mean_y: Plane
    covariance: Plane
    variances: Plane  # The variance of x plus the variance of y.


def ssim(
    x: Float[Array, "*batch height width"],
    y: Float[Array, "*batch height width"],
    *,
    max_value: float = 1.0,
    window: int = WINDOW,
    sigma: float = SIGMA,
) -> Float[Array, " *batch"]:
    """Compute the mean structural similarity (SSIM) of image pairs.

    Args:
      x: first image.
      y: second image, of the same shape.
      max_value: dynamic range of the images, for example 1 or 255.
      window: side of the Gaussian window, in pixels.
      sigma: standard deviation of the Gaussian window, in pixels.

    Raises:
      ValueError: the shapes differ, or a side is shorter than the window.
    """
    _check(x, y, window)
    return ms_ssim(x, y, weights=(1.0,), max_value=max_value, window=window, sigma=sigma, clip=False)


def ms_ssim(
    x: Float[Array, "*batch height width"],
    y: Float[Array, "*batch height width"],
    *,
    weights: tuple[float, ...] = PAPER_WEIGHTS,
    max_value: float = 1.0,
    window: int = WINDOW,
    sigma: float = SIGMA,
    clip: bool = True,
) -> Float[Array, " *batch"]:
    """Compute the multiscale structural similarity (MS-SSIM) of image pairs.

    The result is the product over scales of (contrast x structure)^weight. The coarsest scale includes luminance.

    Args:
      x: first image.
      y: second image, of the same shape.
      weights: exponents, finest scale first. If the image is too small for that many scales, the leading weights that
        fit are kept and rescaled to the same sum (see `fitting_weights`).
      max_value: dynamic range of the images, for example 1 or 255.
      window: side of the Gaussian window, in pixels.
      sigma: standard deviation of the Gaussian window, in pixels.
      clip: clip each scale's mean at 0 and raise it to its weight. False returns the mean of the first scale, without
        an exponent.

    Raises:
      ValueError: the shapes differ, or a side is shorter than the window.
    """
    _check(x, y, window)
    weights = fitting_weights(weights, min(x.shape[-2:]), window)
    scale = jnp.float32(1.0 / max_value)
    planes = [a.astype(jnp.float32).reshape(-1, *a.shape[-2:]) * scale for a in (x, y)]
    return _ms_ssim(*planes, weights, window, sigma, clip).reshape(x.shape[:-2])


def fitting_weights(weights: tuple[float, ...], side: int, window: int = WINDOW) -> tuple[float, ...]:
    """Keep the leading weights whose scale still fits the window, rescaled to the same sum.

    `side` is the shorter side of the image in pixels; each scale halves it.
    """
    fitting = weights[: sum(side // 2**scale >= window for scale in range(len(weights)))]
    return tuple(w * sum(weights) / sum(fitting) for w in fitting)


def _check(x: Array, y: Array, window: int) -> None:
    if x.shape != y.shape:
        raise ValueError(f"images of shapes {x.shape} and {y.shape}, expected equal shapes: crop or resize one of them")
    if min(x.shape[-2:]) < window:
        raise ValueError(
            f"an image of shape {x.shape[-2:]} is smaller than the {window} x {window} window: enlarge the image"
        )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _ms_ssim(x: Array, y: Array, weights: tuple, window: int, sigma: float, clip: bool) -> Array:
    return map_examples(lambda x, y: _value_and_gradient(x, y, weights, window, sigma, clip)[0])(x, y)


def _forward(x, y, weights, window, sigma, clip):
    def value_and_gradients(x_plane, y_plane):
        value, gradient_x = _value_and_gradient(x_plane, y_plane, weights, window, sigma, clip)
        if not y.perturbed:
            return value, gradient_x, None
        return value, gradient_x, _value_and_gradient(y_plane, x_plane, weights, window, sigma, clip)[1]

    value, gradient_x, gradient_y = map_examples(value_and_gradients)(x.value, y.value)
    return value, (gradient_x, gradient_y)


def _backward(weights, window, sigma, clip, gradients, cotangent):
    gradient_x, gradient_y = gradients
    per_pixel = cotangent[:, None, None]
    return gradient_x * per_pixel, jnp.zeros_like(gradient_x) if gradient_y is None else gradient_y * per_pixel


_ms_ssim.defvjp(_forward, _backward, symbolic_zeros=True)


def _value_and_gradient(
    x: Plane, y: Plane, weights: tuple, window: int, sigma: float, clip: bool
) -> tuple[Float[Array, ""], Plane]:
    """Compute the MS-SSIM of two images in [0, 1] and its gradient with respect to `x`."""
    values, gradients = [], []
    x_scale, y_scale = x, y
    for scale in range(len(weights)):
        coarsest = scale == len(weights) - 1
        value, gradient = _scale_value_and_gradient(x_scale, y_scale, window, sigma, luminance=coarsest)
        values.append(value)
        gradients.append(gradient)
        if not coarsest:
            x_scale, y_scale = _halve(x_scale), _halve(y_scale)
    means = jnp.stack(values)
    exponents = jnp.array(weights, jnp.float32)
    if not clip:
        return means[0], gradients[0]
    # The slope of x^w with w < 1 is unbounded at 0. Means of at most 1e-6 count as 0, with slope 0.
    positive = means > 1e-6
    product = jnp.prod(jnp.where(positive, jnp.where(positive, means, 1.0) ** exponents, 0.0))
    slopes = jnp.where(positive, product * exponents / jnp.where(positive, means, 1.0), 0.0)
    total = gradients[-1] * slopes[-1]
    for scale in reversed(range(len(weights) - 1)):
        total = gradients[scale] * slopes[scale] + _halve_adjoint(total, gradients[scale].shape)
    return product, total


def _scale_value_and_gradient(
    x: Plane, y: Plane, window: int, sigma: float, luminance: bool
) -> tuple[Float[Array, ""], Plane]:
    """Compute the mean of contrast x structure (x luminance l) at one scale, and its gradient with respect to `x`.

    Let a = 2 cov + c2, b = var_x + var_y + c2, cs = a / b, and F the window filter with adjoint F'. The chain rule
    through cov = F(xy) - mx my and var_x = F(xx) - mx^2 gives
    d mean(cs l) / dx = [2 y F'(l / b) - 2 x F'(l cs / b) + F'(2 l (cs mx - my) / b + cs dl/dmx)] / count,
    where count is the number of window positions.
    """
    kernel = _gaussian_window(window, sigma)
    c1, c2 = K1**2, K2**2
    moments = _moments(x, y, kernel)
    denominator = moments.variances + c2
    cs = (2.0 * moments.covariance + c2) / denominator
    luminance_map, luminance_slope = jnp.ones_like(cs), jnp.zeros_like(cs)
    if luminance:
        mx, my = moments.mean_x, moments.mean_y
        luminance_denominator = mx * mx + my * my + c1
        luminance_map = (2.0 * mx * my + c1) / luminance_denominator
        luminance_slope = 2.0 * (my - luminance_map * mx) / luminance_denominator
    by_product = luminance_map / denominator
    by_square = by_product * cs
    by_mean = 2.0 * (by_square * moments.mean_x - by_product * moments.mean_y) + cs * luminance_slope
    adjoint = partial(_filter_adjoint, kernel=kernel)
    gradient = 2.0 * (y * adjoint(by_product) - x * adjoint(by_square)) + adjoint(by_mean)
    return jnp.mean(cs * luminance_map), gradient / cs.size


def _moments(x: Plane, y: Plane, kernel: tuple[float, ...]) -> _Moments:
    mean_x, mean_y = _filter(x, kernel), _filter(y, kernel)
    # Rounding can make E[x^2] - E[x]^2 slightly negative on flat images.
    variances = jnp.maximum(_filter(x * x + y * y, kernel) - mean_x * mean_x - mean_y * mean_y, 0.0)
    covariance = _filter(x * y, kernel) - mean_x * mean_y
    return _Moments(mean_x, mean_y, covariance, variances)


def _gaussian_window(window: int, sigma: float) -> tuple[float, ...]:
    x = np.arange(window) - (window - 1) / 2
    kernel = np.exp(-0.5 * (x / sigma) ** 2)
    return tuple((kernel / kernel.sum()).tolist())


def _filter(x: Plane, kernel: tuple[float, ...]) -> Resized:
    """Apply a separable filter without padding ("valid").

    XLA must not fuse the filter with neighboring operations: it would recompute them for each tap.
    """
    with set_xla_metadata(inlineable="false"):
        return _shifted_sums(x, kernel)


@partial(jax.jit, static_argnums=1)
def _shifted_sums(x: Plane, kernel: tuple[float, ...]) -> Resized:
    for axis in (0, 1):
        length = x.shape[axis] - len(kernel) + 1
        shifted = [jax.lax.slice_in_dim(x, i, i + length, axis=axis) * tap for i, tap in enumerate(kernel)]
        x = functools.reduce(jnp.add, shifted)
    return x


def _filter_adjoint(x: Plane, kernel: tuple[float, ...]) -> Resized:
    return _filter(jnp.pad(x, len(kernel) - 1), kernel)  # The kernel is symmetric, so it need not be flipped.


def _halve(x: Plane) -> Resized:
    """Average 2 x 2 blocks; an odd last row or column is dropped."""
    height, width = x.shape[0] // 2, x.shape[1] // 2
    return x[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))


def _halve_adjoint(x: Plane, shape: tuple[int, ...]) -> Resized:
    repeated = jnp.repeat(jnp.repeat(x * 0.25, 2, axis=0), 2, axis=1)
    return jnp.pad(repeated, [(0, n - m) for n, m in zip(shape, repeated.shape, strict=True)])
