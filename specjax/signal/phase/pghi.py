"""Phase gradient heap integration (Prusa, Balazs and Sondergaard 2017), without the heap.

The heap walks from the loudest place of a spectrogram to its neighbours, always going on from the loudest place
reached so far: it follows a spanning tree, and of all such trees the one whose faintest crossings are the loudest. That
tree does not depend on who looks for it. Boruvka's algorithm (1926) finds it everywhere at once: in each round every
region joins a neighbour across its loudest border, and turns its phases by what the crossing asks for. Regions at least
halve in number, so twenty rounds of plain array operations do what takes a heap one step a place.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from specjax.signal.phase.gradient import log_magnitude, per_bin, per_frame, wrapped
from specjax.signal.phase.spsi import from_centre
from specjax.signal.stft import Stft

Places = Float[Array, " places"]


class Regions(NamedTuple):
    """A partition of the places: each carries the number of its region's root, and its phase from there."""

    root: Int[Array, " places"]
    phase: Places


def pghi(
    magnitude: Float[Array, "*batch bins frames"], transform: Stft, *, tolerance: float = 1e-10
) -> Float[Array, "*batch bins frames"]:
    """Phases in radians for magnitudes, 0 or more.

    The authors' program integrates all above a tenth of the greatest magnitude first, and the rest after it. Loud
    regions that fainter places part then keep phases of their own, which costs the more, the more redundant the
    transform is: here the one tree goes on through the faint.

    Args:
      tolerance: what is fainter than this part of the greatest magnitude is not integrated.

    Raises:
      ValueError: no Gaussian is near to the transform's window.
    """
    one = jnp.vectorize(lambda clip: _phase(clip, transform, tolerance), signature="(b,t)->(b,t)")
    return one(magnitude)


def _phase(magnitude: Float[Array, "bins frames"], transform: Stft, tolerance: float) -> Float[Array, "bins frames"]:
    greatest = jnp.max(magnitude, keepdims=True)
    log = log_magnitude(magnitude, greatest)
    padded = jnp.pad(log, [(0, 0), (1, 1)], mode="edge")
    in_time = per_frame(log.T, transform).T
    in_frequency = per_bin(padded[:, :-2], padded[:, 2:], transform)
    along_time = (in_time[:, :-1] + in_time[:, 1:]) / 2
    along_frequency = (in_frequency[:-1] + in_frequency[1:]) / 2

    edges = _edges(log, along_time, along_frequency)
    heard = (magnitude >= tolerance * greatest).reshape(-1)
    phase = _joined(edges, heard).phase.reshape(magnitude.shape)
    return wrapped(phase + from_centre(transform)[:, None])


class _Edges(NamedTuple):
    """For each place and each of its four neighbours: who it is, how loud the crossing is, how the phase turns.

    rank: unique, greater for louder crossings, -1 where there is no neighbour.
    """

    neighbour: Int[Array, "4 places"]
    rank: Int[Array, "4 places"]
    turn: Float[Array, "4 places"]


def _edges(
    log: Float[Array, "bins frames"],
    along_time: Float[Array, "bins frames_1"],
    along_frequency: Float[Array, "bins_1 frames"],
) -> _Edges:
    bins, frames = log.shape
    places = log.size
    index = jnp.arange(places).reshape(bins, frames)
    order = jnp.argsort(log.reshape(-1))
    loudness = jnp.zeros(places, jnp.int32).at[order].set(jnp.arange(places)).reshape(bins, frames)

    def shifted(x: Array, bin_step: int, frame_step: int, fill: int) -> Array:
        """`x` of the neighbour so many bins and frames on."""
        spans = [(max(bin_step, 0), max(-bin_step, 0)), (max(frame_step, 0), max(-frame_step, 0))]
        padded = jnp.pad(x, [(a[1], a[0]) for a in spans], constant_values=fill)
        return padded[spans[0][0] : spans[0][0] + bins, spans[1][0] : spans[1][0] + frames]

    steps = ((0, 1), (0, -1), (1, 0), (-1, 0))
    turns = (
        jnp.pad(along_time, [(0, 0), (0, 1)]),
        -jnp.pad(along_time, [(0, 0), (1, 0)]),
        jnp.pad(along_frequency, [(0, 1), (0, 0)]),
        -jnp.pad(along_frequency, [(1, 0), (0, 0)]),
    )
    neighbour = jnp.stack([shifted(index, *step, -1).reshape(-1) for step in steps])
    other = jnp.stack([shifted(loudness, *step, -1).reshape(-1) for step in steps])
    mine = jnp.broadcast_to(loudness.reshape(-1), other.shape)
    # A crossing is as loud as its fainter side; of those that share it, the louder other side goes first.
    uphill = other > mine
    towards = jnp.argsort(jnp.argsort(jnp.where(uphill, other, -1), axis=0), axis=0)
    theirs = [towards[opposite].reshape(bins, frames) for opposite in (1, 0, 3, 2)]
    back = jnp.stack([shifted(t, *step, -1).reshape(-1) for t, step in zip(theirs, steps, strict=True)])
    rank = 4 * jnp.minimum(mine, other) + jnp.where(uphill, towards, back)
    return _Edges(neighbour, jnp.where(neighbour >= 0, rank, -1), wrapped(jnp.stack([t.reshape(-1) for t in turns])))


def _joined(edges: _Edges, allowed: Bool[Array, " places"]) -> Regions:
    """Single places joined to regions across borders between allowed ones, until no such border is left."""
    places = len(allowed)
    rank = jnp.where(allowed[None] & allowed[edges.neighbour], edges.rank, -1)
    itself = jnp.arange(places)

    def once(state: tuple[Regions, Bool[Array, ""]]) -> tuple[Regions, Bool[Array, ""]]:
        (root, phase), _ = state
        outward = jnp.where(root[edges.neighbour] != root[None], rank, -1)
        mine = jnp.max(outward, axis=0)
        best = jnp.full(places, -1).at[root].max(mine)
        # The place at which its region's best crossing begins, and where that leads.
        chosen = (mine == best[root]) & (mine >= 0)
        way = jnp.argmax(outward, axis=0)
        goal = edges.neighbour[way, itself]
        offset = phase[goal] - edges.turn[way, itself] - phase
        seat = jnp.where(chosen, root, places)
        parent = itself.at[seat].set(root[goal], mode="drop")
        turn = jnp.zeros(places).at[seat].set(wrapped(offset), mode="drop")
        # Two regions may have chosen each other; then one of them stays.
        stays = (parent[parent] == itself) & (itself < parent)
        parent, turn = jnp.where(stays, itself, parent), jnp.where(stays, 0.0, turn)

        def climb(links: tuple[Array, Array]) -> tuple[Array, Array]:
            up, total = links
            return up[up], wrapped(total + total[up])

        parent, turn = jax.lax.while_loop(lambda links: jnp.any(links[0] != links[0][links[0]]), climb, (parent, turn))
        return Regions(parent[root], wrapped(phase + turn[root])), jnp.any(chosen)

    alone = Regions(itself, jnp.zeros(places))
    regions, _ = jax.lax.while_loop(lambda state: state[1], once, (alone, jnp.array(True)))
    return regions
