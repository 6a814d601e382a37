"""Fourier transforms along the last axis, each done by the device that its input lies on (`batching.map_devices`)."""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from specjax.arrays.batching import map_devices

Real = Float[Array, "*batch _"]
Spectrum = Complex[Array, "*batch _"]


def rfft(x: Real, n: int | None = None) -> Spectrum:
    """`numpy.fft.rfft`."""
    return _over_rows(partial(jnp.fft.rfft, n=n), x)


def irfft(x: Spectrum, n: int) -> Real:
    """`numpy.fft.irfft`."""
    return _over_rows(partial(jnp.fft.irfft, n=n), x)


def fft(x: Spectrum) -> Spectrum:
    """`numpy.fft.fft`."""
    return _over_rows(jnp.fft.fft, x)


def ifft(x: Spectrum) -> Spectrum:
    """`numpy.fft.ifft`."""
    return _over_rows(jnp.fft.ifft, x)


def _over_rows(function: Callable[[Array], Array], x: Array) -> Array:
    return map_devices(function)(x) if x.ndim > 1 else function(x)
