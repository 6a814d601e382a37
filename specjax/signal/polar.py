"""Complex numbers by magnitude and phase, as pairs of real ones: what devices are fast at."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from specjax.arrays import safe


def absolute(z: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Magnitude, whose gradient at zero is zero."""
    return safe.sqrt(squared(z))


def angle(z: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Phase in radians; of zero it is 0, and so is its gradient."""
    nonzero = squared(z) > 0
    return jnp.arctan2(jnp.where(nonzero, z.imag, 0.0), jnp.where(nonzero, z.real, 1.0))


def squared(z: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Squared magnitude."""
    return z.real**2 + z.imag**2


def polar(magnitude: Float[Array, "*shape"], phase: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
    """Complex numbers of given magnitudes and phases in radians."""
    return jax.lax.complex(magnitude * jnp.cos(phase), magnitude * jnp.sin(phase))


def scaled(z: Complex[Array, "*shape"], factor: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
    """`z` times a real factor."""
    return jax.lax.complex(z.real * factor, z.imag * factor)


def unit(z: Complex[Array, "*shape"]) -> Complex[Array, "*shape"]:
    """`z` over its magnitude; 0 where that is below 1e-10, where neither phase nor gradient is well defined."""
    of_power = squared(z)
    defined = of_power > 1e-20
    return scaled(z, jnp.where(defined, jax.lax.rsqrt(jnp.where(defined, of_power, 1.0)), 0.0))
