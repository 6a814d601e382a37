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
from specjax.signal.phase.gradient import log_magnitude, per_bin, per_frame, wrapped
from specjax.signal.phase.spsi import from_centre
from specjax.signal.stft import Stft

Bins = Float[Array, "*batch bins"]


class Past(NamedTuple):
    """What the frames so far leave behind: log-magnitudes of the last two, phase of the last but one.

    Phases are in radians, told from the centres of frames.
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
    rows = jnp.moveaxis(magnitude, -1, 0)
    follows = jnp.concatenate([rows[1:], rows[-1:]])
    _, phase = jax.lax.scan(lambda past, row: advance(past, row, transform), begin(rows[0]), follows)
    return jnp.moveaxis(phase, 0, -1) + along(from_centre(transform), magnitude.ndim, -2)


def begin(magnitude: Bins) -> Past:
    """Before anything but the first frame, of which these are the magnitudes, is known."""
    greatest = jnp.max(magnitude, axis=-1, keepdims=True)
    log = log_magnitude(magnitude, greatest)
    return Past(log, log, jnp.zeros_like(log), greatest)


def advance(past: Past, following: Bins, transform: Stft) -> tuple[Past, Bins]:
    """Phases of the last frame, by the magnitudes of the one that follows it: one frame of look-ahead."""
    greatest = jnp.maximum(past.greatest, jnp.max(following, axis=-1, keepdims=True))
    after = log_magnitude(following, greatest)
    in_time = (per_frame(past.before, transform) + per_frame(past.here, transform)) / 2
    in_frequency = per_bin(past.before, after, transform)
    crossing = (in_frequency[..., 1:] + in_frequency[..., :-1]) / 2
    level = jnp.pad(jnp.cumsum(crossing, axis=-1), [(0, 0)] * (crossing.ndim - 1) + [(1, 0)])
    arrived = past.phase + in_time - level
    phase = wrapped(jnp.take_along_axis(arrived, sources(past.before, past.here), axis=-1) + level)
    return Past(past.here, after, phase, greatest), phase


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
