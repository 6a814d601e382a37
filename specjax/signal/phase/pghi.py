"""Phase gradient heap integration (Prusa, Balazs and Sondergaard 2017), without the heap.

The heap walks from the loudest place of a spectrogram to its neighbours, always going on from the loudest place
reached so far: it follows a spanning tree, and of all such trees the one whose faintest crossings are the loudest. That
tree does not depend on who looks for it. Boruvka's algorithm (1926) finds it everywhere at once: in each round every
region joins a neighbour across its loudest border, and turns its phases by what the crossing asks for. Regions at least
halve in number, so some ten rounds of plain array operations do what takes a heap one step a place.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.arrays.axes import pad_axis
from specjax.arrays.batching import map_examples
from specjax.signal.phase.angle import from_centre, wrapped
from specjax.signal.phase.gradient import log_magnitude, per_bin, per_frame
from specjax.signal.shapes import Magnitude, Phase
from specjax.signal.stft import Stft

Plane = Float[Array, "bins frames"]
Both = Float[Array, "2 bins frames"]

# Regions are few after some rounds: what is kept of each need not be as large as the plane any more.
_SHRINK, _FEW = 8, 4096


class Partition(NamedTuple):
    """The region of each place, its phase relative to the region's, and how many regions there are."""

    label: Int[Array, "bins frames"]
    phase: Plane
    regions: Int[Array, ""]


@partial(jax.jit, static_argnames="transform")
def pghi(magnitude: Magnitude, transform: Stft) -> Phase:
    """Phases in radians for magnitudes, 0 or more.

    The authors' program integrates all above a tenth of the greatest magnitude first, and the rest after it. Loud
    regions that fainter places part then keep phases of their own, which costs the more, the more redundant the
    transform is: here the one tree goes on through the faint. Gradients do not pass: which way the tree goes has none.

    Raises:
      ValueError: no Gaussian is near to the transform's window, or it has another number of bins.
    """
    transform.check_bins(magnitude)
    examples = int(np.prod(magnitude.shape[:-2]))
    clips = jax.lax.stop_gradient(magnitude).reshape(examples, *magnitude.shape[-2:])
    return map_examples(lambda clip: _phase(clip, transform))(clips).reshape(magnitude.shape)


def _phase(magnitude: Plane, transform: Stft) -> Plane:
    log = log_magnitude(magnitude, jnp.max(magnitude, keepdims=True))
    log = jnp.where(jnp.isnan(log), 0.0, log)  # what has no order has no tree, and regions would never be joined
    wider = pad_axis(log, 1, 1, mode="edge")
    in_time = per_frame(log.T, transform).T
    in_frequency = per_bin(wider[:, :-2], wider[:, 2:], transform)
    # From every place to the next frame, and to the next bin.
    turn = jnp.stack([(x + _moved(x, *way, 0.0)) / 2 for x, way in ((in_time, (0, 1)), (in_frequency, (1, 0)))])
    return wrapped(_joined(log, wrapped(turn)).phase + from_centre(transform)[:, None])


def _joined(log: Plane, turn: Both) -> Partition:
    """Single places joined to regions, and regions to larger ones, until there is one."""
    label = jnp.arange(log.size, dtype=jnp.int32).reshape(log.shape)
    regions = Partition(label, jnp.zeros_like(log), jnp.int32(log.size))
    most = log.size
    while most > 1:
        fewer = most // _SHRINK if most > _FEW else 1
        regions = jax.lax.while_loop(
            lambda now, fewer=fewer: now.regions > fewer, lambda now, most=most: _round(now, log, turn, most), regions
        )
        most = fewer
    return regions


def _round(now: Partition, log: Plane, turn: Both, most: int) -> Partition:
    """Every region, of which there are at most so many, joined to the one across its loudest border."""
    label, phase, count = now
    crossing = _loudest_borders(label, log, most)
    labels, phases, itself = label.reshape(-1), phase.reshape(-1), jnp.arange(most, dtype=jnp.int32)
    here, axis = crossing // 2, crossing % 2
    there = here + jnp.where(axis == 0, 1, log.shape[1])
    within = labels[here] == itself  # or else it is the place there that lies in the region
    rise = phases[there] - turn.reshape(2, -1)[axis, here] - phases[here]
    joins = crossing >= 0
    parent = jnp.where(joins, jnp.where(within, labels[there], labels[here]), itself)
    offset = jnp.where(joins, wrapped(jnp.where(within, rise, -rise)), 0.0)
    # Two regions may have chosen each other; then one of them stays.
    stays = (parent[parent] == itself) & (itself < parent)
    links = jnp.where(stays, itself, parent), jnp.where(stays, 0.0, offset)

    def climb(links: tuple[Array, Array]) -> tuple[Array, Array]:
        up, total = links
        return up[up], wrapped(total + total[up])

    top, offset = jax.lax.while_loop(lambda links: jnp.any(links[0] != links[0][links[0]]), climb, links)
    kept = (top == itself) & (itself < count)
    number = jnp.cumsum(kept, dtype=jnp.int32) - 1
    return Partition(
        number[top[labels]].reshape(label.shape),
        wrapped(phases + offset[labels]).reshape(label.shape),
        jnp.sum(kept, dtype=jnp.int32),
    )


def _loudest_borders(label: Int[Array, "bins frames"], log: Plane, most: int) -> Int[Array, " most"]:
    """The crossing at which each region's border is loudest; -1 where there is none.

    A crossing is as loud as its fainter side. Of several that share that side the heap goes over the one whose other
    side is louder; of equals, over the last. They are numbered `2 place + axis`, from a place to the next frame or bin.
    """
    place = jnp.arange(log.size, dtype=jnp.int32).reshape(log.shape)
    ways = ((0, 1), (0, -1), (1, 0), (-1, 0))
    other = jnp.stack([_moved(log, *way, -jnp.inf) for way in ways])
    number = jnp.stack([2 * (place + min(x, 0) * log.shape[1] + min(t, 0)) + abs(x) for x, t in ways])
    border = jnp.stack([_moved(label, *way, -1.0) for way in ways]) != label[None]
    for loudness in (jnp.minimum(log[None], other), jnp.maximum(log[None], other)):
        outward = jnp.where(border, loudness, -jnp.inf)
        loudest = jnp.full(most, -jnp.inf).at[label].max(jnp.max(outward, axis=0))
        border &= outward == loudest[label][None]
    last = jnp.max(jnp.where(border & (other > -jnp.inf), number, -1), axis=0)
    return jnp.full(most, -1, jnp.int32).at[label].max(last)


def _moved(x: Array, bins: int, frames: int, fill: float) -> Array:
    """`x` of the place that lies so many bins and frames on."""
    for axis, step in ((0, bins), (1, frames)):
        there = slice(max(step, 0), x.shape[axis] + max(step, 0))
        x = pad_axis(x, max(-step, 0), max(step, 0), axis=axis, fill=fill)
        x = x[there] if axis == 0 else x[:, there]
    return x
