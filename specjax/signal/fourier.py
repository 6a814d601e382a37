"""Fourier transforms along the last axis of an array, and the matrix of the discrete cosine transform.

With several devices, each one transforms only its own part of the batch (see `batching.map_devices`).
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from specjax.arrays.batching import map_devices

Real = Float[Array, "*batch _"]
Spectrum = Complex[Array, "*batch _"]


def rfft(x: Real, n: int | None = None) -> Spectrum:
    """Compute `numpy.fft.rfft` along the last axis.

    Args:
      n: length of the transform; `x` is cut or padded with zeros to it. None: the length of `x`.
    """
    return _transform_rows(partial(jnp.fft.rfft, n=n), x)


def irfft(x: Spectrum, n: int) -> Real:
    """Compute `numpy.fft.irfft` along the last axis. The result has `n` samples."""
    return _transform_rows(partial(jnp.fft.irfft, n=n), x)


def fft(x: Spectrum) -> Spectrum:
    """Compute `numpy.fft.fft` along the last axis."""
    return _transform_rows(jnp.fft.fft, x)


def ifft(x: Spectrum) -> Spectrum:
    """Compute `numpy.fft.ifft` along the last axis."""
    return _transform_rows(jnp.fft.ifft, x)


def dct_matrix(n: int) -> Float[np.ndarray, "n n"]:
    """Return the matrix of the orthonormal discrete cosine transform (DCT-II), with one row for each frequency."""
    angle = np.pi / n * np.outer(np.arange(n), np.arange(n) + 0.5)
    matrix = np.sqrt(2 / n) * np.cos(angle)
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


def _transform_rows(function: Callable[[Array], Array], x: Array) -> Array:
    return map_devices(function)(x) if x.ndim > 1 else function(x)
