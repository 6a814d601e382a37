"""Fourier transforms along the last axis; each device transforms the rows it holds (`batching.map_devices`)."""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from specjax.arrays.batching import map_devices

Real = Float[Array, "*batch _"]
Spectrum = Complex[Array, "*batch _"]


def rfft(x: Real, n: int | None = None) -> Spectrum:
    """Compute `numpy.fft.rfft`."""
    return _transform_rows(partial(jnp.fft.rfft, n=n), x)


def irfft(x: Spectrum, n: int) -> Real:
    """Compute `numpy.fft.irfft`."""
    return _transform_rows(partial(jnp.fft.irfft, n=n), x)


def fft(x: Spectrum) -> Spectrum:
    """Compute `numpy.fft.fft`."""
    return _transform_rows(jnp.fft.fft, x)


def ifft(x: Spectrum) -> Spectrum:
    """Compute `numpy.fft.ifft`."""
    return _transform_rows(jnp.fft.ifft, x)


def _transform_rows(function: Callable[[Array], Array], x: Array) -> Array:
    return map_devices(function)(x) if x.ndim > 1 else function(x)
