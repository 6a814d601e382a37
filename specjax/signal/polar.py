"""Magnitude and phase of complex numbers.

All functions compute with real and imaginary parts, which is fast on all devices.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from specjax.arrays import safe


def absolute(z: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Compute the magnitudes of complex numbers. The gradient at 0 is 0."""
    return safe.sqrt(squared(z))


def angle(z: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Compute the phases of complex numbers in radians, from -pi to pi. At 0 the phase and its gradient are 0."""
    nonzero = squared(z) > 0
    return jnp.arctan2(jnp.where(nonzero, z.imag, 0.0), jnp.where(nonzero, z.real, 1.0))


def squared(z: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Compute the squared magnitudes of complex numbers."""
    return z.real**2 + z.imag**2


def polar(magnitude: Float[Array, "*shape"], phase: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
    """Return the complex numbers with the given magnitudes and phases (radians)."""
    return jax.lax.complex(magnitude * jnp.cos(phase), magnitude * jnp.sin(phase))


def scaled(z: Complex[Array, "*shape"], factor: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
    """Multiply complex numbers by real factors."""
    return jax.lax.complex(z.real * factor, z.imag * factor)


def unit(z: Complex[Array, "*shape"]) -> Complex[Array, "*shape"]:
    """Divide complex numbers by their magnitudes.

    Where the magnitude is at most 1e-10, the phase is not well defined: the result and its gradient are 0.
    """
    power = squared(z)
    defined = power > 1e-20
    return scaled(z, jnp.where(defined, jax.lax.rsqrt(jnp.where(defined, power, 1.0)), 0.0))
