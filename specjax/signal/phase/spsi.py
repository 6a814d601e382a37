"""Single pass spectrogram inversion (Beauregard, Harish and Wyse 2015).

Each peak of a frame is a sinusoid. Its frequency is read off a parabola through the peak and its neighbours, its phase
goes on from the frame before, and the bins around it, down to the troughs, share that phase.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from specjax.arrays.axes import along_axis, pad_axis
from specjax.signal.phase.links import Links, follow, follow_all, relative_to_start
from specjax.signal.phase.online import OnlineMethod
from specjax.signal.shapes import Bins, Magnitude, Phase
from specjax.signal.stft import Stft


@partial(jax.jit, static_argnames="transform")
def spsi(magnitude: Magnitude, transform: Stft) -> Phase:
    """Phases in radians for magnitudes, 0 or more.

    Raises:
      ValueError: the transform has another number of bins.
    """
    transform.check_bins(magnitude)
    return follow_all(links(jnp.moveaxis(magnitude, -1, 0), transform), transform)


def links(magnitude: Bins, transform: Stft) -> Links:
    """A bin takes its peak's phase, which goes on at the frequency of the peak."""
    owner, offset = peaks(magnitude)
    bins = jnp.arange(magnitude.shape[-1], dtype=jnp.float32)
    turns = transform.hop_length / transform.n_fft * (along_axis(bins, offset.ndim, -1) + offset)
    advance = 2 * jnp.pi * (turns - jnp.round(turns))
    return Links(owner, jnp.take_along_axis(advance, owner, axis=-1))


def peaks(
    magnitude: Bins,
) -> tuple[Int[Array, "*batch bins"], Float[Array, "*batch bins"]]:
    """Bin of the peak that every bin belongs to, and how far a parabola moves each bin's own peak, in bins.

    A bin belongs to the peak uphill of it; what is level belongs to the peak below it, or else above it.
    """
    bins = magnitude.shape[-1]
    wider = pad_axis(magnitude, 1, 1, fill=-1.0)
    below, above = wider[..., :-2], wider[..., 2:]
    peak = (magnitude > below) & (magnitude >= above)
    index = jnp.broadcast_to(jnp.arange(bins), magnitude.shape)
    lower = jax.lax.cummax(jnp.where(peak, index, -1), axis=magnitude.ndim - 1)
    upper = jax.lax.cummin(jnp.where(peak, index, bins), axis=magnitude.ndim - 1, reverse=True)
    rising = ~peak & (magnitude < above)
    owner = jnp.where((rising & (upper < bins)) | (lower < 0), upper, lower)
    curvature = below - 2 * magnitude + above
    inside = (index > 0) & (index < bins - 1) & (curvature < 0)
    offset = jnp.where(inside, 0.5 * (below - above) / jnp.where(inside, curvature, -1.0), 0.0)
    return jnp.clip(owner, 0, bins - 1), offset


def _begin(before: Bins, transform: Stft) -> Bins:
    del transform
    return jnp.zeros_like(before)


def _advance(last: Bins, magnitude: Bins, transform: Stft) -> tuple[Bins, Bins]:
    phase = follow(last, links(magnitude, transform))
    return phase, relative_to_start(phase, transform)


ONLINE = OnlineMethod(0, _begin, _advance)
