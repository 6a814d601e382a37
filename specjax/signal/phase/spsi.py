"""Single pass spectrogram inversion (Beauregard, Harish and Wyse 2015).

Each peak of a frame is a sinusoid. Its frequency is read off a parabola through the peak and its neighbours, its phase
goes on from the frame before, and the bins around it, down to the troughs, share that phase.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.signal.axes import along
from specjax.signal.stft import Stft


def spsi(magnitude: Float[Array, "*batch bins frames"], transform: Stft) -> Float[Array, "*batch bins frames"]:
    """Phases in radians for magnitudes, 0 or more."""
    rows = jnp.moveaxis(magnitude, -1, 0)
    start = jnp.zeros_like(rows[0])
    _, phase = jax.lax.scan(lambda last, row: (next_phase(last, row, transform),) * 2, start, rows)
    return jnp.moveaxis(phase, 0, -1) + along(from_centre(transform), magnitude.ndim, -2)


def next_phase(
    last: Float[Array, "*batch bins"], magnitude: Float[Array, "*batch bins"], transform: Stft
) -> Float[Array, "*batch bins"]:
    """Phases of a frame, told from its centre, by those of the frame before."""
    owner, offset = peaks(magnitude)
    bins = jnp.arange(magnitude.shape[-1], dtype=jnp.float32)
    turns = transform.hop_length / transform.n_fft * (along(bins, offset.ndim, -1) + offset)
    advanced = last + 2 * jnp.pi * (turns - jnp.round(turns))
    return jnp.take_along_axis(advanced, owner, axis=-1)


def peaks(
    magnitude: Float[Array, "*batch bins"],
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


def from_centre(transform: Stft) -> Float[np.ndarray, " bins"]:
    """What turns phases told from a frame's centre into those of `stft`, told from its first sample."""
    turns = np.arange(transform.bins) * (transform.n_fft // 2) / transform.n_fft
    return (-2 * np.pi * (turns - np.round(turns))).astype(np.float32)
