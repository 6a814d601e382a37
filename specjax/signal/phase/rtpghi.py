"""Phase gradient heap integration frame by frame, in real time (Prusa and Sondergaard 2016).

A frame's phases are reached from those of the frame before. The paper's heap holds all places of that frame, takes the
loudest, and goes on either along time, to the same bin of this frame, or within this frame, to a neighbouring bin. So a
bin m is reached from the bin r for which the faintest place on the way, from r in the frame before over r in this frame
along the bins to m, is loudest. Along a line such ways are two scans, one up the bins and one down, which need neither
a heap nor the phases: they go over all frames of a spectrogram side by side. Both reach every bin on the same way.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from specjax.arrays.axes import pad_axis
from specjax.signal.phase.gradient import gamma, log_magnitude, per_bin, per_frame
from specjax.signal.phase.links import Links, follow, follow_all, relative_to_start
from specjax.signal.phase.online import OnlineMethod
from specjax.signal.shapes import Bins, Magnitude, Phase
from specjax.signal.stft import Stft


@partial(jax.jit, static_argnames="transform")
def rtpghi(magnitude: Magnitude, transform: Stft) -> Phase:
    """Phases in radians for magnitudes, 0 or more. The first and the last frame are taken to be there once more.

    Raises:
      ValueError: no Gaussian is near to the transform's window, or it has another number of bins.
    """
    transform.check_bins(magnitude)
    rows = jnp.moveaxis(magnitude, -1, 0)
    longer = jnp.concatenate([rows[:1], rows[:1], rows, rows[-1:]])
    greatest = jax.lax.cummax(jnp.max(longer[2:], axis=-1, keepdims=True), axis=0)
    found = links(longer[:-2], longer[1:-1], longer[2:], greatest, transform)
    return follow_all(found, transform)[..., 1:]


def links(before: Bins, here: Bins, after: Bins, greatest: Float[Array, "*batch 1"], transform: Stft) -> Links:
    """A bin takes the phase that the heap brings to it, along time to this frame and then along its bins.

    Args:
      before, here, after: magnitudes of three frames.
      greatest: magnitude so far.

    Raises:
      ValueError: no Gaussian is near to the transform's window.
    """
    before, here, after = (log_magnitude(x, greatest) for x in (before, here, after))
    in_time = (per_frame(before, transform) + per_frame(here, transform)) / 2
    in_frequency = per_bin(before, after, transform)
    along_bins = pad_axis(jnp.cumsum((in_frequency[..., 1:] + in_frequency[..., :-1]) / 2, axis=-1), 1, 0)
    source = sources(before, here)
    return Links(source, jnp.take_along_axis(in_time - along_bins, source, axis=-1) + along_bins)


def sources(before: Bins, here: Bins) -> Int[Array, "*batch bins"]:
    """The bin of the frame before from which the heap reaches every bin of this frame, loudness by loudness."""
    before, here = (jnp.moveaxis(x, -1, 0) for x in (before, here))
    index = jnp.broadcast_to(jnp.arange(len(here)).reshape(-1, *[1] * (here.ndim - 1)), here.shape)
    (loud_below, below), (loud_above, above) = (_passing(before, here, index, reverse=r) for r in (False, True))
    way = jnp.where(loud_below >= loud_above, below, above)
    source = jnp.where(before >= jnp.maximum(loud_below, loud_above), index, way)
    return jnp.moveaxis(source, 0, -1)


def _passing(
    before: Float[Array, "bins ..."],
    here: Float[Array, "bins ..."],
    index: Int[Array, "bins ..."],
    *,
    reverse: bool,
) -> tuple[Float[Array, "bins ..."], Int[Array, "bins ..."]]:
    """How loud the way to each bin is that comes along the bins of this frame from one side, and where it begins."""

    def step(coming: tuple[Array, Array], at: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], Any]:
        (loudness, source), (before, here, index) = coming, at
        source_here = jnp.where(before >= loudness, index, source)
        return (jnp.minimum(here, jnp.maximum(before, loudness)), source_here), coming

    nothing = jnp.full_like(here[0], -jnp.inf), index[0]
    return jax.lax.scan(step, nothing, (before, here, index), reverse=reverse)[1]


class _Past(NamedTuple):
    """Magnitudes of the last two frames, phases of the last but one relative to its centre, the greatest magnitude."""

    before: Bins
    here: Bins
    phase: Bins
    greatest: Float[Array, "*batch 1"]


def _begin(before: Bins, transform: Stft) -> _Past:
    gamma(transform)
    return _Past(before, before, jnp.zeros_like(before), jnp.max(before, axis=-1, keepdims=True))


def _advance(past: _Past, following: Bins, transform: Stft) -> tuple[_Past, Bins]:
    greatest = jnp.maximum(past.greatest, jnp.max(following, axis=-1, keepdims=True))
    phase = follow(past.phase, links(past.before, past.here, following, greatest, transform))
    return _Past(past.here, following, phase, greatest), relative_to_start(phase, transform)


ONLINE = OnlineMethod(1, _begin, _advance)
