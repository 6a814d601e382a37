"""Structural similarity (SSIM, Wang et al. 2004) and multiscale structural similarity (MS-SSIM, Wang et al. 2003).

The functions compare float images of shape (*batch, height, width) in a sliding Gaussian window, without padding. They
return one value per image pair, at most 1. The computation is in float32 for all input types.

The gradient is computed from a closed formula. Automatic differentiation would be slower: it would store a shifted copy
of the image for every tap of the window filter. The formula needs only three more filters per scale, and no copies.
"""

import functools
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, Float

from specjax.arrays.arguments import check_arguments
from specjax.arrays.batching import map_examples

PAPER_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003; the finest scale comes first.
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03

Plane = Float[Array, "height width"]
Resized = Float[Array, "new_height new_width"]


class _Moments(NamedTuple):
    """Means, covariance and summed variances of two images x and y, at each position of a sliding Gaussian window."""

    mean_x: Plane
    mean_y: Plane
    covariance: Plane
    variances: Plane  # The variance of x plus the variance of y.


@check_arguments
def ssim(
    x: Float[Array, "*batch height width"],
    y: Float[Array, "*batch height width"],
    *,
    max_value: float = 1.0,
    window: int = WINDOW,
    sigma: float = SIGMA,
) -> Float[Array, " *batch"]:
    """Compute the mean structural similarity (SSIM, Wang et al. 2004) of image pairs; identical images give 1.

    The mean is over all positions of the window that lie completely inside the image.

    Args:
      x: first image.
      y: second image, of the same shape.
      max_value: dynamic range of the images, for example 1 or 255.
      window: side of the Gaussian window, in pixels.
      sigma: standard deviation of the Gaussian window, in pixels.

    Raises:
      ValueError: the shapes differ, or a side is shorter than the window.
    """
    _check_size(x, window)
    return _ms_ssim(*_to_planes(x, y, max_value), (1.0,), window, sigma, False).reshape(x.shape[:-2])


@check_arguments
def ms_ssim(
    x: Float[Array, "*batch height width"],
    y: Float[Array, "*batch height width"],
    *,
    weights: tuple[float, ...] = PAPER_WEIGHTS,
    max_value: float = 1.0,
    window: int = WINDOW,
    sigma: float = SIGMA,
) -> Float[Array, " *batch"]:
    """Compute the multiscale structural similarity (MS-SSIM, Wang et al. 2003) of image pairs; identical images give 1.

    The images are compared at several scales. The first scale is the full size. Each further scale halves both sides.
    At each scale, the factors `contrast * structure` of SSIM are averaged over all window positions. At the last scale,
    `luminance * contrast * structure` is averaged instead. An average of at most 1e-6 counts as 0. The result is the
    product of `average ** weight` over all scales.

    Args:
      x: first image.
      y: second image, of the same shape.
      weights: exponent of each scale, full size first. Scales with images smaller than the window are omitted. The
        remaining weights are then scaled up to the same sum.
      max_value: dynamic range of the images, for example 1 or 255.
      window: side of the Gaussian window, in pixels.
      sigma: standard deviation of the Gaussian window, in pixels.

    Raises:
      ValueError: the shapes differ, or a side is shorter than the window.
    """
    _check_size(x, window)
    weights = fitting_weights(weights, min(x.shape[-2:]), window)
    return _ms_ssim(*_to_planes(x, y, max_value), weights, window, sigma, True).reshape(x.shape[:-2])


def fitting_weights(weights: tuple[float, ...], side: int, window: int = WINDOW) -> tuple[float, ...]:
    """Drop the weights of those scales of MS-SSIM at which the image would be smaller than the window.

    Args:
      weights: exponent of each scale. The first is for the full size, and each further scale halves the image.
      side: shorter side of the full-size image, in pixels.
      window: side of the window, in pixels.

    Returns:
      The remaining weights, multiplied by a constant that restores the sum of `weights`.
    """
    fitting = weights[: sum(side // 2**scale >= window for scale in range(len(weights)))]
    return tuple(w * sum(weights) / sum(fitting) for w in fitting)


def _check_size(image: Array, window: int) -> None:
    if min(image.shape[-2:]) < window:
        raise ValueError(
            f"an image of shape {image.shape[-2:]} is smaller than the {window} x {window} window: enlarge the image"
        )


def _to_planes(x: Array, y: Array, max_value: float) -> list[Float[Array, "n height width"]]:
    """Divide two arrays of images by their dynamic range `max_value`, and merge their leading axes into one axis."""
    scale = jnp.float32(1.0 / max_value)
    return [a.astype(jnp.float32).reshape(-1, *a.shape[-2:]) * scale for a in (x, y)]


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
    """Compute the MS-SSIM or SSIM of two images of dynamic range 1, and its gradient with respect to `x`.

    Args:
      x: first image.
      y: second image, of the same shape.
      weights: exponent of each scale of MS-SSIM, full size first. For SSIM: a single weight, of any value.
      window: side of the Gaussian window, in pixels.
      sigma: standard deviation of the Gaussian window, in pixels.
      clip: True for MS-SSIM, where a mean of at most 1e-6 counts as 0. False for SSIM, which may be negative.
    """
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
    # A mean may be negative, and then has no power x^w. The derivative of x^w with w < 1 is unbounded at 0. So means of
    # at most 1e-6 count as 0, with derivative 0.
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
    """Compute the mean SSIM of two images at one scale, and its gradient with respect to `x`.

    The mean is over all positions of the Gaussian window. At each position, SSIM is the product
    `contrast * structure * luminance`.

    Args:
      x: first image, with dynamic range 1.
      y: second image, of the same shape.
      window: side of the Gaussian window, in pixels.
      sigma: standard deviation of the Gaussian window, in pixels.
      luminance: whether to include the factor luminance.
    """
    # F is the linear filter that averages an image in the Gaussian window, at each of n positions. F' is the adjoint of
    # F. All other operations are elementwise. At each position, SSIM is cs * l:
    #
    #     mx = F(x),  my = F(y),  cov = F(x y) - mx my,  var_x = F(x x) - mx^2,  var_y = F(y y) - my^2
    #     cs = (2 cov + c2) / b  with  b = var_x + var_y + c2       (contrast times structure)
    #     l = (2 mx my + c1) / (mx^2 + my^2 + c1)                   (luminance; 1 if it is not included)
    #
    # By the chain rule, the gradient of the mean over all positions is
    #
    #     d mean(cs l) / dx = [2 y F'(l / b) - 2 x F'(l cs / b) + F'(2 l (cs mx - my) / b + cs dl/dmx)] / n
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
    """Filter an image with `kernel` along both axes, without padding: each side shrinks by `len(kernel) - 1`."""
    # XLA must not fuse the filter with the operations before it: it would recompute them for every tap of the kernel.
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
    """Halve both sides of an image by averaging 2 x 2 blocks. If a side is odd, the last row or column is dropped."""
    height, width = x.shape[0] // 2, x.shape[1] // 2
    return x[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))


def _halve_adjoint(x: Plane, shape: tuple[int, ...]) -> Resized:
    repeated = jnp.repeat(jnp.repeat(x * 0.25, 2, axis=0), 2, axis=1)
    return jnp.pad(repeated, [(0, n - m) for n, m in zip(shape, repeated.shape, strict=True)])
