"""Strided and transposed convolutions with any kernel, stride and padding, as fast on CPU as convolutions of stride 1.

On CPU, XLA is fast for convolutions of any stride, but not for those with a dilated input: the transposed convolution,
which is also the input gradient of the strided one, and above all the kernel gradient of the transposed convolution.
The three operations below need no dilated input, and each is the gradient of the others:

    strided(x, k)   = y     the strided convolution
    spread(y, k)    = x     the transposed convolution: a convolution of stride 1, whose channels become pixels
    correlate(x, y) = k     the kernel gradient: a convolution of x by y, which is dilated by the stride

GPUs and TPUs use XLA's own gradients.
"""

from collections.abc import Callable
from functools import partial, reduce
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.nn.conv import LAYOUT

Implementation = Literal["native", "adjoint"]
Pair = tuple[int, int]
Maps = Float[Array, "batch height width channels"]
Kernel = Float[Array, "kernel_height kernel_width channels features"]

_BATCH_AS_CHANNELS = jax.lax.ConvDimensionNumbers((3, 0, 1, 2), (3, 0, 1, 2), (2, 3, 0, 1))


class Window(NamedTuple):
    """Stride and padding of a convolution, each for height and width.

    stride: distance of neighboring outputs, in pixels of the (larger) map.
    padding: number of zeros on either side of the larger map.
    """

    stride: Pair
    padding: Pair


class StridedConv(nn.Module):
    """Convolution with any kernel, stride and zero padding.

    Attributes:
      features: number of output channels.
      kernel_size: height and width of the kernel, in pixels.
      window: stride and padding.
      use_bias: whether to add a bias, which starts at 0.
      kernel_init: initializer of the kernel, of shape (height, width, channels, features).
    """

    features: int
    kernel_size: Pair
    window: Window
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.he_normal()

    @nn.compact
    def __call__(self, x: Maps) -> Float[Array, "batch out_height out_width features"]:
        shape = (*self.kernel_size, x.shape[-1], self.features)
        y = strided_conv(x, self.param("kernel", self.kernel_init, shape, jnp.float32), self.window)
        return _add_bias(self, y) if self.use_bias else y


class TransposedConv(nn.Module):
    """Transposed convolution with any kernel, stride and padding.

    Attributes:
      features: number of output channels.
      kernel_size: height and width of the kernel, in pixels.
      window: stride and padding, those of the strided convolution from the output to the input.
      use_bias: whether to add a bias, which starts at 0.
      kernel_init: initializer of the kernel, of shape (height, width, channels, features).
    """

    features: int
    kernel_size: Pair
    window: Window
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.he_normal()

    @nn.compact
    def __call__(self, x: Maps) -> Float[Array, "batch out_height out_width features"]:
        shape = (*self.kernel_size, x.shape[-1], self.features)
        y = transposed_conv(x, self.param("kernel", self.kernel_init, shape, jnp.float32), self.window)
        return _add_bias(self, y) if self.use_bias else y


def _add_bias(module: nn.Module, y: Maps) -> Maps:
    bias = module.param("bias", nn.initializers.zeros, (y.shape[-1],), jnp.float32)
    return y + bias.reshape(1, 1, 1, -1)


def strided_conv(
    x: Maps, kernel: Kernel, window: Window, implementation: Implementation | None = None
) -> Float[Array, "batch out_height out_width features"]:
    """Convolve maps with a kernel (as cross-correlation).

    An axis of n pixels becomes one of `(n + 2 padding - kernel) // stride + 1` pixels.

    Args:
      x: input maps.
      kernel: weights.
      window: stride and padding.
      implementation: both have the same results and gradients up to rounding. `native` leaves the gradients to
        XLA, `adjoint` computes them by the operations of this module. None selects `adjoint` on CPU, else `native`.
    """
    return _native(x, kernel, window) if _choose(implementation) == "native" else _convolve(x, kernel, window)


def transposed_conv(
    x: Maps, kernel: Kernel, window: Window, implementation: Implementation | None = None
) -> Float[Array, "batch out_height out_width features"]:
    """Compute the transposed convolution, the adjoint of a strided convolution from the output to the input.

    Along each axis, the output at position o is `sum_i x[i] kernel[o + padding - stride i]`, as in PyTorch. An axis of
    n pixels becomes one of `(n - 1) stride + kernel - 2 padding` pixels.

    Args:
      x: input maps.
      kernel: weights.
      window: stride and padding.
      implementation: see `strided_conv`.
    """
    kernel = kernel.swapaxes(2, 3)
    sides = zip(x.shape[1:3], kernel.shape[:2], window.stride, window.padding, strict=True)
    height, width = ((n - 1) * stride + side - 2 * padding for n, side, stride, padding in sides)
    if _choose(implementation) == "adjoint":
        return _spread(x, kernel, window, (height, width))
    larger = jax.ShapeDtypeStruct((len(x), height, width, kernel.shape[2]), x.dtype)
    return jax.linear_transpose(lambda y: _native(y, kernel, window), larger)(x)[0]


def _choose(implementation: Implementation | None) -> Implementation:
    return implementation or ("adjoint" if jax.default_backend() == "cpu" else "native")


def _native(x: Maps, kernel: Kernel, window: Window) -> Array:
    padding = [(side, side) for side in window.padding]
    return jax.lax.conv_general_dilated(x, kernel, window.stride, padding, dimension_numbers=LAYOUT)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(x: Array, kernel: Array, window: Window) -> Array:
    """Compute the strided convolution of x."""
    return _native(x, kernel, window)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _spread(y: Array, kernel: Array, window: Window, size: Pair) -> Array:
    """Compute the adjoint of `_convolve` for maps of height and width `size`.

    The outputs of a convolution of stride 1 are blocks of `stride` pixels.
    """
    batch, height, width, features = y.shape
    (rows, step_y, taps_y), (columns, step_x, taps_x) = _count_blocks((height, width), kernel.shape[:2], window)
    taps = _pad(kernel.transpose(3, 0, 1, 2), (0, 0), (taps_y * step_y, taps_x * step_x))
    taps = taps.reshape(features, taps_y, step_y, taps_x, step_x, -1).transpose(0, 1, 3, 2, 4, 5)
    if taps[0, 0, 0].size < features:
        # XLA convolves to few channels slowly. Each tap is a product instead; the results are shifted and added.
        products = (y.reshape(-1, features) @ taps.reshape(features, -1)).reshape(*y.shape[:3], taps_y, taps_x, -1)
        shifts = [(i, j) for i in range(taps_y) for j in range(taps_x)]
        x = reduce(jnp.add, (_pad(products[:, :, :, i, j], (i, j), (rows, columns)) for i, j in shifts))
    else:
        weights = jnp.flip(taps.transpose(1, 2, 0, 3, 4, 5), (0, 1)).reshape(taps_y, taps_x, features, -1)
        edges = [(taps_y - 1, taps_y - 1), (taps_x - 1, taps_x - 1)]
        x = jax.lax.conv_general_dilated(y, weights, (1, 1), edges, dimension_numbers=LAYOUT)
    x = x.reshape(batch, rows, columns, step_y, step_x, -1).transpose(0, 1, 3, 2, 4, 5)
    x = x.reshape(batch, rows * step_y, columns * step_x, -1)
    return _pad(x, (-window.padding[0], -window.padding[1]), size)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _correlate(x: Array, y: Array, window: Window, sides: Pair) -> Array:
    """Compute the kernel gradient of `_convolve`, given the gradient y of its output, for a kernel of size `sides`.

    Dilated by the stride, y is the kernel of a convolution in which batch and channels change places.
    """
    padding = [
        (before, side - 1 + (n - 1) * step + 1 - before - length)
        for side, n, step, before, length in zip(
            sides, y.shape[1:3], window.stride, window.padding, x.shape[1:3], strict=True
        )
    ]
    return jax.lax.conv_general_dilated(
        x, y, (1, 1), padding, rhs_dilation=window.stride, dimension_numbers=_BATCH_AS_CHANNELS
    )


_convolve.defvjp(
    lambda x, kernel, window: (_convolve(x, kernel, window), (x, kernel)),
    lambda window, saved, y: (
        _spread(y, saved[1], window, saved[0].shape[1:3]),
        _correlate(saved[0], y, window, saved[1].shape[:2]),
    ),
)
_spread.defvjp(
    lambda y, kernel, window, size: (_spread(y, kernel, window, size), (y, kernel)),
    lambda window, _, saved, x: (
        _convolve(x, saved[1], window),
        _correlate(x, saved[0], window, saved[1].shape[:2]),
    ),
)
_correlate.defvjp(
    lambda x, y, window, sides: (_correlate(x, y, window, sides), (x, y)),
    lambda window, _, saved, kernel: (
        _spread(saved[1], kernel, window, saved[0].shape[1:3]),
        _convolve(saved[0], kernel, window),
    ),
)


def _count_blocks(size: tuple[int, ...], sides: tuple[int, ...], window: Window) -> list[tuple[int, int, int]]:
    """Divide the larger map of a convolution into blocks of `stride` pixels.

    Args:
      size: height and width of the smaller map.
      sides: height and width of the kernel.
      window: stride of the convolution.

    Returns:
      For each axis the number of blocks, the pixels of a block, and the number of blocks that the kernel covers. If the
      smaller map has one pixel, there is one block, as large as the kernel.
    """
    counts = []
    for n, side, stride in zip(size, sides, window.stride, strict=True):
        step = side if n == 1 else stride
        taps = -(-side // step)
        counts.append((n + taps - 1, step, taps))
    return counts


def _pad(x: Array, before: Pair, size: Pair) -> Array:
    """Shift maps by `before` pixels and bring them to `size`, by zeros at the edges or by cutting edges off."""
    after = [end - start - n for end, start, n in zip(size, before, x.shape[1:3], strict=True)]
    widths = [(0, 0, 0), *((start, end, 0) for start, end in zip(before, after, strict=True)), (0, 0, 0)]
    return jax.lax.pad(x, jnp.zeros((), x.dtype), widths)
