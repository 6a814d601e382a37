"""Single pass spectrogram inversion (Beauregard, Harish and Wyse 2015).

Each peak of a frame is a sinusoid. Its frequency is read off a parabola through the peak and its neighbours, its phase
goes on from the frame before, and the bins around it, down to the troughs, share that phase.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from specjax.signal.axes import along
from specjax.signal.phase.angle import from_centre, wrapped
from specjax.signal.phase.online import Online, phases
from specjax.signal.stft import Stft

Bins = Float[Array, "*batch bins"]


def spsi(magnitude: Float[Array, "*batch bins frames"], transform: Stft) -> Float[Array, "*batch bins frames"]:
    """Phases in radians for magnitudes, 0 or more."""
    return phases(magnitude, transform, ONLINE)


def begin(before: Bins, transform: Stft) -> Bins:
    """Phases of 0, told from the centre of a frame."""
    del transform
    return jnp.zeros_like(before)


def advance(last: Bins, magnitude: Bins, transform: Stft) -> tuple[Bins, Bins]:
    """A frame's phases by those of the frame before: told from the frames' centres, and from its first sample."""
    owner, offset = peaks(magnitude)
    bins = jnp.arange(magnitude.shape[-1], dtype=jnp.float32)
    turns = transform.hop_length / transform.n_fft * (along(bins, offset.ndim, -1) + offset)
    advanced = last + 2 * jnp.pi * (turns - jnp.round(turns))
    phase = wrapped(jnp.take_along_axis(advanced, owner, axis=-1))
    return phase, phase + along(from_centre(transform), phase.ndim, -1)


def peaks(
    magnitude: Bins,
) -> tuple[Int[Array, "*batch bins"], Float[Array, "*batch bins"]]:
    """Bin of the peak that every bin belongs to, and how far a parabola moves each bin's own peak, in bins.

    A bin belongs to the peak uphill of it; what is level belongs to the peak below it, or else above it.
    """
    bins = magnitude.shape[-1]
    edge = [(0, 0)] * (magnitude.ndim - 1) + [(1, 1)]
    padded = jnp.pad(magnitude, edge, constant_values=-1.0)
    below, above = padded[..., :-2], padded[..., 2:]
    peak = (magnitude > below) & (magnitude >= above)
    index = jnp.broadcast_to(jnp.arange(bins), magnitude.shape)
    lower = jax.lax.cummax(jnp.where(peak, index, -1), axis=magnitude.ndim - 1)
    upper = jax.lax.cummin(jnp.where(peak, index, bins), axis=magnitude.ndim - 1, reverse=True)
    rising = ~peak & (magnitude < above)
    owner = jnp.where((rising & (upper < bins)) | (lower < 0), upper, lower)
    curvature = below - 2 * magnitude + above
    inside = (index > 0) & (index < bins - 1) & (curvature < 0)
    offset = jnp.where(inside, 0.5 * (below - above) / jnp.where(inside, curvature, -1.0), 0.0)
    return jnp.clip(owner, 0, bins - 1), jnp.clip(offset, -0.5, 0.5)


ONLINE = Online(0, begin, advance)
