"""Phase gradient heap integration (Prusa, Balazs and Sondergaard 2017), computed without a heap.

The published algorithm starts at the loudest point of the spectrogram and visits neighbors. It always continues from
the loudest point reached so far. The visits form a spanning tree: of all spanning trees, the one whose faintest edges
are the loudest. This tree does not depend on the algorithm that finds it. Boruvka's algorithm (1926) builds it
everywhere in parallel. In each round every region merges with a neighbor across the loudest edge of its border, and
shifts its phases to match the phase difference along that edge. The number of regions at least halves in each round.
About ten rounds of plain array operations thus replace a heap that takes one step per point.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.arrays.axes import pad_axis
from specjax.arrays.batching import map_examples
from specjax.signal.phase.angle import center_to_start_offset, wrap
from specjax.signal.phase.gradient import compute_log_magnitude, phase_step_per_bin, phase_step_per_frame
from specjax.signal.shapes import Magnitude, Phase
from specjax.signal.stft import Stft

Plane = Float[Array, "bins frames"]
Steps = Float[Array, "2 bins frames"]

# After some rounds few regions are left, and the arrays with one entry per region can be smaller than the plane. While
# they are larger than `_SMALL_CAPACITY`, they shrink whenever the number of regions has fallen by `_SHRINK_FACTOR`.
_SHRINK_FACTOR, _SMALL_CAPACITY = 8, 4096


class Partition(NamedTuple):
    """Partition of the spectrogram into regions of points whose phases are known relative to each other.

    label: the number of the region that each point belongs to.
    phase: the phase of each point, up to one common offset per region.
    regions: the number of regions.
    """

    label: Int[Array, "bins frames"]
    phase: Plane
    regions: Int[Array, ""]


@partial(jax.jit, static_argnames="transform")
def pghi(magnitude: Magnitude, transform: Stft) -> Phase:
    """Estimate phases in radians from magnitudes, 0 or more.

    The authors' program first integrates all points above a tenth of the greatest magnitude, and the rest afterwards.
    Loud regions separated by fainter points then have unrelated phases. The more redundant the transform, the more this
    costs. Here a single tree continues through the faint points.

    Gradients are stopped: the choice of the tree is not differentiable.

    Raises:
      ValueError: the transform's window has no known Gaussian approximation, or the number of bins does not match.
    """
    transform.check_bins(magnitude)
    examples = int(np.prod(magnitude.shape[:-2]))
    flat = jax.lax.stop_gradient(magnitude).reshape(examples, *magnitude.shape[-2:])
    return map_examples(lambda example: _integrate(example, transform))(flat).reshape(magnitude.shape)


def _integrate(magnitude: Plane, transform: Stft) -> Plane:
    log_magnitude = compute_log_magnitude(magnitude, jnp.max(magnitude, keepdims=True))
    # NaN compares with nothing: regions that contain it would never merge, and the loop would not end.
    log_magnitude = jnp.where(jnp.isnan(log_magnitude), 0.0, log_magnitude)
    padded = pad_axis(log_magnitude, 1, 1, mode="edge")
    per_frame = phase_step_per_frame(log_magnitude.T, transform).T
    per_bin = phase_step_per_bin(padded[:, :-2], padded[:, 2:], transform)
    # Phase differences from every point to the same bin of the next frame, and to the next bin of the same frame.
    steps = jnp.stack([(x + _shift(x, *by, 0.0)) / 2 for x, by in ((per_frame, (0, 1)), (per_bin, (1, 0)))])
    return wrap(_merge_all(log_magnitude, wrap(steps)).phase + center_to_start_offset(transform)[:, None])


def _merge_all(log_magnitude: Plane, steps: Steps) -> Partition:
    """Merge single points into regions, and regions into larger ones, until one region is left.

    Args:
      steps: phase differences to the next frame (first) and to the next bin (second).
    """
    label = jnp.arange(log_magnitude.size, dtype=jnp.int32).reshape(log_magnitude.shape)
    partition = Partition(label, jnp.zeros_like(log_magnitude), jnp.int32(log_magnitude.size))
    capacity = log_magnitude.size
    while capacity > 1:
        smaller = capacity // _SHRINK_FACTOR if capacity > _SMALL_CAPACITY else 1
        partition = jax.lax.while_loop(
            lambda partition, smaller=smaller: partition.regions > smaller,
            lambda partition, capacity=capacity: _merge_round(partition, log_magnitude, steps, capacity),
            partition,
        )
        capacity = smaller
    return partition


def _merge_round(partition: Partition, log_magnitude: Plane, steps: Steps, capacity: int) -> Partition:
    """Merge every region with its neighbor across the loudest edge of its border.

    Args:
      capacity: static upper bound of the number of regions.
    """
    label, phase, count = partition
    edge = _loudest_edges(label, log_magnitude, capacity)
    labels, phases, region = label.reshape(-1), phase.reshape(-1), jnp.arange(capacity, dtype=jnp.int32)
    # The points at both ends of each edge; the edge leads from `here` to the next frame (axis 0) or bin (axis 1).
    here, axis = edge // 2, edge % 2
    there = here + jnp.where(axis == 0, 1, log_magnitude.shape[1])
    starts_inside = labels[here] == region  # otherwise `there` is the end that lies in the region
    difference = phases[there] - steps.reshape(2, -1)[axis, here] - phases[here]
    has_edge = edge >= 0
    parent = jnp.where(has_edge, jnp.where(starts_inside, labels[there], labels[here]), region)
    offset = jnp.where(has_edge, wrap(jnp.where(starts_inside, difference, -difference)), 0.0)
    # Two regions may have chosen each other. The one of lower number then becomes the root.
    is_root = (parent[parent] == region) & (region < parent)
    links = jnp.where(is_root, region, parent), jnp.where(is_root, 0.0, offset)

    def jump(links: tuple[Array, Array]) -> tuple[Array, Array]:
        """Replace every region's parent by its grandparent (pointer jumping)."""
        parent, offset = links
        return parent[parent], wrap(offset + offset[parent])

    root, offset = jax.lax.while_loop(lambda links: jnp.any(links[0] != links[0][links[0]]), jump, links)
    kept = (root == region) & (region < count)
    number = jnp.cumsum(kept, dtype=jnp.int32) - 1
    return Partition(
        number[root[labels]].reshape(label.shape),
        wrap(phases + offset[labels]).reshape(label.shape),
        jnp.sum(kept, dtype=jnp.int32),
    )


def _loudest_edges(label: Int[Array, "bins frames"], log_magnitude: Plane, capacity: int) -> Int[Array, " capacity"]:
    """Find the loudest edge of each region's border; -1 where a region has none.

    An edge joins two adjacent points, and is as loud as the fainter of them. Of several edges that share their fainter
    point, the heap would take the one whose other point is louder. Of equal edges the one with the highest number is
    taken. Edge `2 * point + axis` leads from a point to the next frame (axis 0) or to the next bin (axis 1).
    """
    point = jnp.arange(log_magnitude.size, dtype=jnp.int32).reshape(log_magnitude.shape)
    directions = ((0, 1), (0, -1), (1, 0), (-1, 0))  # in bins and frames
    neighbor = jnp.stack([_shift(log_magnitude, *by, -jnp.inf) for by in directions])
    number = jnp.stack([2 * (point + min(b, 0) * log_magnitude.shape[1] + min(f, 0)) + abs(b) for b, f in directions])
    on_border = jnp.stack([_shift(label, *by, -1.0) for by in directions]) != label[None]
    for loudness in (jnp.minimum(log_magnitude[None], neighbor), jnp.maximum(log_magnitude[None], neighbor)):
        candidates = jnp.where(on_border, loudness, -jnp.inf)
        loudest = jnp.full(capacity, -jnp.inf).at[label].max(jnp.max(candidates, axis=0))
        on_border &= candidates == loudest[label][None]
    last = jnp.max(jnp.where(on_border & (neighbor > -jnp.inf), number, -1), axis=0)
    return jnp.full(capacity, -1, jnp.int32).at[label].max(last)


def _shift(x: Array, bins: int, frames: int, fill: float) -> Array:
    """Return at each point the value of `x` that many bins and frames further on; `fill` beyond the edges."""
    for axis, by in ((0, bins), (1, frames)):
        kept = slice(max(by, 0), x.shape[axis] + max(by, 0))
        x = pad_axis(x, max(-by, 0), max(by, 0), axis=axis, fill=fill)
        x = x[kept] if axis == 0 else x[:, kept]
    return x
