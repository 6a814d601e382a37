"""Phase gradient heap integration frame by frame, in real time (Prusa and Sondergaard 2016).

A frame's phases are reached from those of the frame before. The paper's heap holds all places of that frame, takes the
loudest, and goes on either along time, to the same bin of this frame, or within this frame, to a neighbouring bin. So a
bin m is reached from the bin r for which the faintest place on the way, from r in the frame before over r in this frame
along the bins to m, is loudest. Along a line such ways are two scans, one from below and one from above: of functions
`x -> max(a, min(b, x))`, which composed are functions of the same kind, so that the scans take a few array operations
instead of a heap's one step a bin. Both reach every bin on the same way.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from specjax.signal.axes import along
from specjax.signal.phase.angle import from_centre, wrapped
from specjax.signal.phase.gradient import log_magnitude, per_bin, per_frame
from specjax.signal.phase.online import Online, phases
from specjax.signal.stft import Stft

Bins = Float[Array, "*batch bins"]


class Past(NamedTuple):
    """What the frames so far leave behind: magnitudes of the last two, phase of the last but one.

    Phases are in radians, told from the centres of frames; `greatest` is the greatest magnitude so far.
    """

    before: Bins
    here: Bins
    phase: Bins
    greatest: Float[Array, "*batch 1"]


def rtpghi(magnitude: Float[Array, "*batch bins frames"], transform: Stft) -> Float[Array, "*batch bins frames"]:
    """Phases in radians for magnitudes, 0 or more.

    Raises:
      ValueError: no Gaussian is near to the transform's window.
    """
    return phases(magnitude, transform, ONLINE)


def begin(before: Bins, transform: Stft) -> Past:
    """Before the first frame, when nothing is known but the magnitudes of what was before."""
    del transform
    return Past(before, before, jnp.zeros_like(before), jnp.max(before, axis=-1, keepdims=True))


def advance(past: Past, following: Bins, transform: Stft) -> tuple[Past, Bins]:
    """Phases of the last frame, by the magnitudes of the one that follows it: one frame of look-ahead."""
    greatest = jnp.maximum(past.greatest, jnp.max(following, axis=-1, keepdims=True))
    before, here, after = (log_magnitude(x, greatest) for x in (past.before, past.here, following))
    in_time = (per_frame(before, transform) + per_frame(here, transform)) / 2
    in_frequency = per_bin(before, after, transform)
    crossing = (in_frequency[..., 1:] + in_frequency[..., :-1]) / 2
    level = jnp.pad(jnp.cumsum(crossing, axis=-1), [(0, 0)] * (crossing.ndim - 1) + [(1, 0)])
    arrived = past.phase + in_time - level
    phase = wrapped(jnp.take_along_axis(arrived, sources(before, here), axis=-1) + level)
    told = phase + along(from_centre(transform), phase.ndim, -1)
    return Past(past.here, following, phase, greatest), told


def sources(before: Bins, here: Bins) -> Int[Array, "*batch bins"]:
    """The bin of the frame before from which the heap reaches every bin of this frame, loudness by loudness."""
    last = here.ndim - 1
    index = jnp.broadcast_to(jnp.arange(here.shape[-1]), here.shape)
    edge = [(0, 0)] * last
    never = -jnp.inf
    from_below = jnp.pad(
        jnp.minimum(here, _widest(before, here, reverse=False)), [*edge, (1, 0)], constant_values=never
    )
    from_above = jnp.pad(jnp.minimum(here, _widest(before, here, reverse=True)), [*edge, (0, 1)], constant_values=never)
    from_below, from_above = from_below[..., :-1], from_above[..., 1:]
    # The nearest bin on either side that is not itself better reached from farther on.
    below = jax.lax.cummax(jnp.where(before >= from_below, index, -1), axis=last)
    above = jax.lax.cummin(jnp.where(before >= from_above, index, here.shape[-1]), axis=last, reverse=True)
    way = jnp.where(from_below >= from_above, below, above)
    return jnp.where(before >= jnp.maximum(from_below, from_above), index, way)


def _widest(before: Bins, here: Bins, *, reverse: bool) -> Bins:
    """Loudness with which each bin is reached from the frame before, coming along the bins from one side only.

    `w[m] = max(before[m], min(here[m - 1], w[m - 1]))`, as compositions of `x -> max(low, min(high, x))`.
    """
    last = here.ndim - 1
    edge = [(0, 0)] * last
    passing = here[..., 1:] if reverse else here[..., :-1]
    high = jnp.pad(passing, [*edge, (0, 1) if reverse else (1, 0)], constant_values=-jnp.inf)

    def then(first: tuple[Bins, Bins], second: tuple[Bins, Bins]) -> tuple[Bins, Bins]:
        (low, top), (low_next, top_next) = first, second
        low = jnp.maximum(low_next, jnp.minimum(top_next, low))
        top = jnp.maximum(low_next, jnp.minimum(top_next, jnp.maximum(top, low)))
        return low, top

    return jax.lax.associative_scan(then, (before, high), axis=last, reverse=reverse)[0]


ONLINE = Online(1, begin, advance)
