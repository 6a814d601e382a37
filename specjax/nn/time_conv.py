"""Convolution over time of sequences with many channels, with implementations that are fast on CPU.

A convolution of width w with C input and F output channels takes w C F multiplications per output frame. The
implementation `fourier` cuts the sequence into overlapping tiles of n frames and multiplies their spectra: n/2 + 1
matrix products of complex numbers, with three real products each (Gauss), give n - w + 1 output frames. For w = 11 and
n = 32, these are 2.3 C F multiplications per frame. The results differ from those of the others by rounding only.
"""

from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays.axes import pad_axis
from specjax.nn.pool import max_pool

Implementation = Literal["direct", "unfolded", "fourier"]
Padding = Literal["SAME", "VALID"]
Sequences = Float[Array, "*batch frames channels"]
Kernel = Float[Array, "width channels features"]

_TILE = 32
_BLOCK = 256  # greatest number of features whose spectra are computed at a time
_EXACT = jax.lax.Precision.HIGHEST


class TimeConv(nn.Module):
    """Convolution over time with bias, stride 1 and "same" zero padding.

    Attributes:
      features: number of output channels.
      width: width of the kernel in frames.
      kernel_init: initializer of the kernel, of shape (width, channels, features).
      bias_init: initializer of the bias.
      pool: whether to reduce every two frames of the output to their maximum.
    """

    features: int
    width: int
    kernel_init: Callable = nn.initializers.he_normal()
    bias_init: Callable = nn.initializers.zeros
    pool: bool = False

    @nn.compact
    def __call__(self, x: Sequences) -> Float[Array, "batch out_frames features"]:
        kernel = self.param("kernel", self.kernel_init, (self.width, x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", self.bias_init, (self.features,), jnp.float32)
        y = time_conv(x, kernel)
        # The order of maximum and bias does not matter to the result, but this one takes less memory.
        return (max_pool(y, (1,)) if self.pool else y) + bias.reshape(1, 1, -1)


def time_conv(
    x: Sequences,
    kernel: Kernel,
    padding: Padding = "SAME",
    *,
    dilation: int = 1,
    implementation: Implementation | None = None,
) -> Float[Array, "*batch out_frames features"]:
    """Convolve sequences with a kernel over time (as cross-correlation), with stride 1.

    Args:
      x: sequences.
      kernel: weights.
      padding: `SAME` pads with zeros, so that the number of frames stays the same. `VALID` pads nothing, so that
        `(width - 1) * dilation` frames are lost.
      dilation: distance in frames between adjacent taps of the kernel.
      implementation: all have the same result up to rounding. `direct` is XLA's convolution. `unfolded` is a single
        matrix product of the frames under each position of the kernel, which is faster on CPU inside of a loop.
        `fourier` multiplies spectra; the kernel covers at most 32 frames. None selects the faster one of `direct` and
        `fourier` outside of a loop.
    """
    width, channels, features = kernel.shape
    reach = (width - 1) * dilation
    if padding == "SAME":
        x = pad_axis(x, reach // 2, reach - reach // 2, axis=-2)
    sequences = x.reshape(-1, *x.shape[-2:])
    match implementation or _choose(sequences, kernel, reach):
        case "direct":
            layout = ("NWC", "WIO", "NWC")
            y = jax.lax.conv_general_dilated(
                sequences, kernel, (1,), "VALID", rhs_dilation=(dilation,), dimension_numbers=layout
            )
        case "unfolded":
            frames = x.shape[-2] - reach
            shifted = [sequences[:, i : i + frames] for i in range(0, reach + 1, dilation)]
            y = jnp.concatenate(shifted, axis=-1) @ kernel.reshape(width * channels, features)
        case "fourier":
            y = _convolve_tiles(sequences, kernel, dilation)
    return y.reshape(*x.shape[:-2], *y.shape[-2:])


def _choose(x: Float[Array, "batch frames channels"], kernel: Kernel, reach: int) -> Implementation:
    """Choose the implementation that is fastest outside of a loop."""
    width, channels, features = kernel.shape
    if jax.default_backend() != "cpu" or not 8 <= width <= reach + 1 <= _TILE // 2:
        return "direct"
    # Many channels, and enough tiles to fill the matrix products of each frequency.
    tiles = x.shape[0] * x.shape[1] // (_TILE - reach)
    return "fourier" if min(channels, features) >= 128 and tiles >= 256 else "direct"


def _convolve_tiles(x: Float[Array, "batch frames channels"], kernel: Kernel, dilation: int) -> Array:
    """Convolve without padding: overlapping tiles, whose spectra are multiplied by that of the kernel."""
    (batch, frames, channels), (width, _, features) = x.shape, kernel.shape
    reach = (width - 1) * dilation
    hop, out_frames = _TILE - reach, frames - reach
    count = -(-out_frames // hop)
    x = pad_axis(x, 0, (count - 1) * hop + _TILE - frames, axis=1)
    tiles = x[:, np.arange(count)[:, None] * hop + np.arange(_TILE)].reshape(batch * count, _TILE, channels)
    real, imag = (jnp.einsum("ft,itc->fic", m, tiles, precision=_EXACT) for m in _dft_matrices())
    # The spectra of all features at once would take several times the memory of the result.
    blocks = -(-features // _BLOCK)
    size = -(-features // blocks)
    kernels = pad_axis(kernel, 0, blocks * size - features).reshape(width, channels, blocks, size)
    y = jax.lax.map(lambda block: _multiply_spectra((real, imag), block, dilation), jnp.moveaxis(kernels, 2, 0))
    y = jnp.moveaxis(y, 0, 2).reshape(batch, -1, blocks * size)
    return y[:, :out_frames, :features]


def _multiply_spectra(
    spectra: tuple[Float[Array, "f tiles channels"], Float[Array, "f tiles channels"]], kernel: Kernel, dilation: int
) -> Float[Array, "tiles hop features"]:
    """Multiply the spectra of tiles by that of a kernel, and return the frames that are free of the wrap-around.

    Args:
      spectra: real and imaginary part of the spectra of tiles.
      kernel: weights.
      dilation: distance in frames between adjacent taps of the kernel.
    """
    real, imag = _dft_matrices()
    reach = (len(kernel) - 1) * dilation
    taps = slice(0, reach + 1, dilation)
    # Cross-correlation multiplies by the conjugate of the kernel's spectrum.
    k_real, k_imag = (jnp.einsum("ft,tcd->fcd", m[:, taps], kernel, precision=_EXACT) for m in (real, -imag))
    x_real, x_imag = spectra
    common = _multiply(x_real + x_imag, k_real)
    y_real = common - _multiply(x_imag, k_real + k_imag)
    y_imag = common + _multiply(x_real, k_imag - k_real)
    weight = np.full((len(real), 1), 2.0 / _TILE, np.float32)
    weight[[0, -1]] /= 2
    frames = slice(0, _TILE - reach)
    y = jnp.einsum("ft,fmd->mtd", (weight * real)[:, frames], y_real, precision=_EXACT)
    return y + jnp.einsum("ft,fmd->mtd", (weight * imag)[:, frames], y_imag, precision=_EXACT)


def _multiply(x: Float[Array, "f rows channels"], y: Float[Array, "f channels features"]) -> Array:
    return jnp.einsum("fmc,fcd->fmd", x, y)


def _dft_matrices() -> tuple[Float[np.ndarray, "f n"], Float[np.ndarray, "f n"]]:
    """Real and imaginary part of the Fourier matrix of a tile, for frequencies from 0 to half the sample rate."""
    angle = 2 * np.pi / _TILE * np.outer(np.arange(_TILE // 2 + 1), np.arange(_TILE))
    return np.cos(angle).astype(np.float32), -np.sin(angle).astype(np.float32)
