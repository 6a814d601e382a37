"""Phase gradient heap integration, PGHI (Prusa, Balazs and Sondergaard 2017), computed without a heap.

The points of a spectrogram (one per bin and frame) form a grid, and the phase difference between adjacent points is
known approximately. The published algorithm adds up these differences. It starts at the point of greatest magnitude.
From the loudest point reached so far, which a heap provides, it always continues to the neighbors of that point.

The steps that it takes form a maximum spanning tree of the grid, where an edge weighs as much as the fainter of the two
points that it joins. This tree does not depend on the algorithm that finds it. Here Boruvka's algorithm (1926) finds it
with parallel array operations. At first every point is a region of its own. In each round, every region merges with a
neighboring region across the loudest edge of its border, and shifts its phases to match the phase difference along that
edge. The number of regions at least halves in each round. So about ten rounds replace a heap that takes one step per
point.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.arrays.arguments import check_arguments
from specjax.arrays.axes import pad_axis
from specjax.arrays.batching import map_examples
from specjax.signal.phase.angle import center_to_start_offset, wrap
from specjax.signal.phase.gradient import compute_log_magnitude, phase_step_per_bin, phase_step_per_frame
from specjax.signal.shapes import Magnitude, Phase
from specjax.signal.short_time_fourier import Stft

Plane = Float[Array, "bins frames"]
Steps = Float[Array, "2 bins frames"]  # phase differences to the next frame (index 0) and to the next bin (index 1)

# Arrays with one entry per region have a fixed size, the capacity. At first it is the number of points. After some
# rounds few regions are left, and smaller arrays suffice. While the capacity is above `_SMALL_CAPACITY`, it is divided
# by `_SHRINK_FACTOR` as soon as the number of regions permits it.
_SHRINK_FACTOR, _SMALL_CAPACITY = 8, 4096


# Steps in bins and frames to the four neighbors of a point. Directions 2k and 2k + 1 are opposite.
_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))


class Partition(NamedTuple):
    """Partition of the points of a spectrogram (one per bin and frame) into regions.

    Phase differences between points of the same region are known.

    label: for each point, the number of its region, counted from 0.
    phase: for each point, its phase in radians, up to an unknown offset that all points of its region share.
    regions: the number of regions.
    """

    label: Int[Array, "bins frames"]
    phase: Plane
    regions: Int[Array, ""]


class Edges(NamedTuple):
    """Edges of the grid, which join adjacent points. An edge is as loud as the fainter of its points.

    Edges are compared by loudness, then by number: the greatest wins. The number is `4 * point + rank`. `point` is the
    index of the fainter point in the flattened array. `rank` counts, from 0, the edges of this point that lead to
    fainter points. So of the edges of a point that is fainter than its neighbors, the one to the loudest wins.

    loudness, number: of the edge from each point in each of `_DIRECTIONS`; -inf and -1 outside the grid.
    direction: for each number, the index in `_DIRECTIONS` from the fainter point to the other.
    """

    loudness: Float[Array, "4 bins frames"]
    number: Int[Array, "4 bins frames"]
    direction: Int[Array, " numbers"]


@check_arguments
@partial(jax.jit, static_argnames="transform")
def pghi(magnitude: Magnitude, transform: Stft) -> Phase:
    """Estimate the phases of spectrograms from their magnitudes by phase gradient heap integration (PGHI).

    A point of a spectrogram is one bin in one frame. PGHI estimates the phase differences between adjacent points. It
    adds them up along paths that avoid faint points as far as possible. The paths connect all points.

    The function is not differentiable. `jax.grad` returns a gradient of 0.

    Args:
      magnitude: magnitudes, 0 or more, shape `(*batch, bins, frames)`.
      transform: parameters of the short-time Fourier transform.

    Returns:
      Phases in radians, of the same shape as `magnitude`.

    Raises:
      ValueError: the transform's window has no known Gaussian approximation, or the number of bins does not match.
    """
    # The implementation published by the authors of PGHI differs: it begins with the points above a tenth of the
    # greatest magnitude, and adds the fainter points later. Loud regions separated by fainter points then get unrelated
    # phases, which harms the result, most of all if frames overlap a lot. Here the paths form one spanning tree of all
    # points, so the phases of all loud regions are related.
    transform.check_bins(magnitude)
    examples = int(np.prod(magnitude.shape[:-2]))
    flat = jax.lax.stop_gradient(magnitude).reshape(examples, *magnitude.shape[-2:])
    return map_examples(lambda example: _integrate(example, transform))(flat).reshape(magnitude.shape)


def _integrate(magnitude: Plane, transform: Stft) -> Plane:
    log_magnitude = compute_log_magnitude(magnitude, jnp.max(magnitude, keepdims=True))
    # Comparisons with NaN are false. So a region that contains NaN would never merge, and the loop would not end.
    log_magnitude = jnp.where(jnp.isnan(log_magnitude), 0.0, log_magnitude)
    padded = pad_axis(log_magnitude, 1, 1, mode="edge")
    per_frame = phase_step_per_frame(log_magnitude.T, transform).T
    per_bin = phase_step_per_bin(padded[:, :-2], padded[:, 2:], transform)
    # Phase differences from every point to the same bin of the next frame, and to the next bin of the same frame: the
    # mean of the estimates at both points.
    steps = jnp.stack([(x + _shift(x, *by, 0.0)) / 2 for x, by in ((per_frame, (0, 1)), (per_bin, (1, 0)))])
    return wrap(_merge_all(log_magnitude, wrap(steps)).phase + center_to_start_offset(transform)[:, None])


def _merge_all(log_magnitude: Plane, steps: Steps) -> Partition:
    """Compute the phases of a spectrogram by merging its points into regions, until one region is left.

    At first every point is a region with phase 0. When two regions merge across an edge, a constant is added to the
    phases of one region. The phase difference along this edge then equals the difference given by `steps`.

    Args:
      log_magnitude: logarithm of the magnitude of each point, of shape `(bins, frames)`.
      steps: phase differences from each point to the next frame (index 0) and to the next bin (index 1), in radians.

    Returns:
      A partition with one region. Its phases are the phases of all points, up to one common offset.
    """
    edges = _sort_edges(log_magnitude)
    label = jnp.arange(log_magnitude.size, dtype=jnp.int32).reshape(log_magnitude.shape)
    partition = Partition(label, jnp.zeros_like(log_magnitude), jnp.int32(log_magnitude.size))
    if log_magnitude.size > 1:
        partition = _merge_regions(partition, _loudest_edge(edges.loudness, edges.number).reshape(-1), edges, steps)
    capacity = max(log_magnitude.size // 2, 1)
    while capacity > 1:
        smaller = capacity // _SHRINK_FACTOR if capacity > _SMALL_CAPACITY else 1

        def merge_round(partition: Partition, capacity: int = capacity) -> Partition:
            return _merge_regions(partition, _loudest_borders(partition.label, edges, capacity), edges, steps)

        partition = jax.lax.while_loop(
            lambda partition, smaller=smaller: partition.regions > smaller, merge_round, partition
        )
        capacity = smaller
    return partition


def _merge_regions(partition: Partition, chosen: Int[Array, " capacity"], edges: Edges, steps: Steps) -> Partition:
    """Merge every region with the neighboring region across the chosen edge of its border.

    Args:
      partition: the current regions.
      chosen: for each region, the number of the loudest edge of its border, or -1 if it has none.
      edges: the edges of the grid.
      steps: phase differences from each point to the next frame (index 0) and to the next bin (index 1), in radians.

    Returns:
      The new regions, at most half as many.
    """
    label, phase, count = partition
    labels, phases, region = label.reshape(-1), phase.reshape(-1), jnp.arange(len(chosen), dtype=jnp.int32)
    # Every edge joins the points `here` and `there`. Point `there` is in the next frame (axis 0) or bin (axis 1).
    direction = edges.direction[chosen]
    axis, backward, stride = direction // 2, direction % 2, jnp.where(direction < 2, 1, label.shape[1])
    here = chosen // 4 - backward * stride
    there = here + stride
    starts_inside = labels[here] == region  # otherwise `there` lies in the region
    difference = phases[there] - steps.reshape(2, -1)[axis, here] - phases[here]
    has_edge = chosen >= 0
    parent = jnp.where(has_edge, jnp.where(starts_inside, labels[there], labels[here]), region)
    offset = jnp.where(has_edge, wrap(jnp.where(starts_inside, difference, -difference)), 0.0)
    # A region's parent is the region that it merges into. If two regions have chosen each other, the one with the lower
    # number becomes a root.
    is_root = (parent[parent] == region) & (region < parent)
    links = jnp.where(is_root, region, parent), jnp.where(is_root, 0.0, offset)

    def jump(links: tuple[Array, Array]) -> tuple[Array, Array]:
        """Replace the parent of every region by its grandparent (pointer jumping).

        The parent of a region is the region that it merges into. A root is its own parent. The offset of a region is
        the constant to add to its phases when it merges into its parent.

        Args:
          links: the number of each region's parent, and the offset of each region in radians.

        Returns:
          The new parents and offsets.
        """
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


def _sort_edges(log_magnitude: Plane) -> Edges:
    """Compute the loudness and the number of every edge. Of equally loud edges, the number decides.

    If two points are equally loud, the one with the lower index counts as the fainter one.
    """
    point = jnp.arange(log_magnitude.size, dtype=jnp.int32).reshape(log_magnitude.shape)
    neighbor = jnp.stack([_shift(log_magnitude, *by, -jnp.inf) for by in _DIRECTIONS])
    order = np.arange(4).reshape(4, 1, 1)
    rank = sum(
        ((neighbor[d : d + 1] < neighbor) | ((neighbor[d : d + 1] == neighbor) & (d < order))).astype(jnp.int32)
        for d in range(4)
    )
    own = 4 * point[None] + rank
    of_neighbor = jnp.stack([_shift(own[d ^ 1], *by, -1.0) for d, by in enumerate(_DIRECTIONS)])
    fainter = (log_magnitude[None] < neighbor) | ((log_magnitude[None] == neighbor) & (order % 2 == 0))
    inside = neighbor > -jnp.inf
    direction = jnp.stack([jnp.sum(jnp.where(rank == r, order, 0), axis=0) for r in range(4)], axis=-1)
    return Edges(
        jnp.minimum(log_magnitude[None], neighbor),
        jnp.where(inside, jnp.where(fainter, own, of_neighbor), -1),
        direction.reshape(-1),
    )


def _loudest_edge(
    loudness: Float[Array, "4 bins frames"], number: Int[Array, "4 bins frames"]
) -> Int[Array, "bins frames"]:
    """Return, for each point, the number of the loudest of its four edges."""
    return jnp.max(jnp.where(loudness == jnp.max(loudness, axis=0, keepdims=True), number, -1), axis=0)


def _loudest_borders(label: Int[Array, "bins frames"], edges: Edges, capacity: int) -> Int[Array, " capacity"]:
    """Find the loudest edge of each region's border.

    An edge lies on the border of a region if exactly one of its points is in the region.

    Args:
      label: number of the region of each point.
      edges: the edges of the grid.
      capacity: size of the result, at least the number of regions.

    Returns:
      For each region, the number of its loudest border edge; -1 if it has no border.
    """
    on_border = jnp.stack([_shift(label, *by, -1.0) for by in _DIRECTIONS]) != label[None]
    candidates = jnp.where(on_border, edges.loudness, -jnp.inf)
    loudest = jnp.full(capacity, -jnp.inf).at[label].max(jnp.max(candidates, axis=0))
    number = jnp.max(jnp.where(on_border & (candidates == loudest[label][None]), edges.number, -1), axis=0)
    return jnp.full(capacity, -1, jnp.int32).at[label].max(number)


def _shift(x: Array, bins: int, frames: int, fill: float) -> Array:
    """Shift an array of shape `(bins, frames)`.

    Entry `(b, f)` of the result is entry `(b + bins, f + frames)` of `x`, or `fill` if that lies outside `x`.
    """
    for axis, by in ((0, bins), (1, frames)):
        kept = slice(max(by, 0), x.shape[axis] + max(by, 0))
        x = pad_axis(x, max(-by, 0), max(by, 0), axis=axis, fill=fill)
        x = x[kept] if axis == 0 else x[:, kept]
    return x
