"""Real-time phase gradient heap integration, RTPGHI (Prusa and Sondergaard 2016), computed without a heap.

The phases of a frame are computed from those of the previous frame by adding up phase differences along paths. In the
paper, a heap holds all bins of the previous frame at first. The loudest bin is taken from the heap again and again.
From a bin of the previous frame, the path continues to the same bin of the current frame. From a bin of the current
frame, it continues to the neighboring bins.

So a path to bin m starts at some bin r of the previous frame, steps to bin r of the current frame, and follows the bins
from r to m. Of all such paths to m, the heap finds the one with the greatest minimum magnitude. Two scans over the
bins, one upwards and one downwards, find the same paths. They need neither a heap nor the phases, so they run for all
frames of a spectrogram in parallel.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from specjax.arrays.arguments import check_arguments
from specjax.arrays.axes import pad_axis
from specjax.signal.phase.gradient import compute_log_magnitude, gamma, phase_step_per_bin, phase_step_per_frame
from specjax.signal.phase.online import OnlineMethod
from specjax.signal.phase.propagation import Propagation, center_to_start, propagate_all, propagate_frame
from specjax.signal.shapes import Bins, Magnitude, Phase
from specjax.signal.short_time_fourier import Stft


@check_arguments
@partial(jax.jit, static_argnames="transform")
def rtpghi(magnitude: Magnitude, transform: Stft) -> Phase:
    """Estimate the phases of spectrograms from their magnitudes by real-time phase gradient heap integration.

    The phases of each frame depend on the frames before it and on the next one. At both ends of the spectrogram, copies
    of the outermost frame stand in for the missing neighbors.

    Args:
      magnitude: magnitudes, 0 or more, shape `(*batch, bins, frames)`.
      transform: parameters of the short-time Fourier transform.

    Returns:
      Phases in radians, of the same shape as `magnitude`.

    Raises:
      ValueError: the transform's window has no known Gaussian approximation, or the number of bins does not match.
    """
    transform.check_bins(magnitude)
    rows = jnp.moveaxis(magnitude, -1, 0)
    extended = jnp.concatenate([rows[:1], rows[:1], rows, rows[-1:]])
    peak = jax.lax.cummax(jnp.max(extended[2:], axis=-1, keepdims=True), axis=0)
    propagation = compute_propagation(extended[:-2], extended[1:-1], extended[2:], peak, transform)
    return propagate_all(propagation, transform)[..., 1:]


def compute_propagation(
    previous: Bins, current: Bins, following: Bins, peak: Float[Array, "*batch 1"], transform: Stft
) -> Propagation:
    """Compute the `Propagation` from the previous frame to the current frame.

    It contains two numbers for each bin of the current frame: the index of a bin of the previous frame (the source),
    and the phase difference from the source to the bin in radians.

    Args:
      previous, current, following: magnitudes of three successive frames, with bins on the last axis.
      peak: greatest magnitude of all frames up to and including `following`, shape `(*batch, 1)`. Magnitudes are
        clipped from below at 1e-10 times this value.
      transform: parameters of the short-time Fourier transform.

    Raises:
      ValueError: the transform's window has no known Gaussian approximation.
    """
    previous, current, following = (compute_log_magnitude(x, peak) for x in (previous, current, following))
    per_frame = (phase_step_per_frame(previous, transform) + phase_step_per_frame(current, transform)) / 2
    per_bin = phase_step_per_bin(previous, following, transform)
    along_bins = pad_axis(jnp.cumsum((per_bin[..., 1:] + per_bin[..., :-1]) / 2, axis=-1), 1, 0)
    source = find_sources(previous, current)
    # The path from source r leads to bin r of the current frame, and then along the current frame to the bin.
    return Propagation(source, jnp.take_along_axis(per_frame - along_bins, source, axis=-1) + along_bins)


def find_sources(previous: Bins, current: Bins) -> Int[Array, "*batch bins"]:
    """Find the source of each bin of the current frame: the bin of the previous frame that its phase is derived from.

    The source of bin m is the bin r whose path to m is strongest. The path consists of bin r of the previous frame and
    the bins from r to m of the current frame. The strength of a path is its smallest magnitude, without the last bin.

    Args:
      previous, current: magnitudes or log magnitudes of two successive frames.
    """
    previous, current = (jnp.moveaxis(x, -1, 0) for x in (previous, current))
    index = jnp.broadcast_to(jnp.arange(len(current)).reshape(-1, *[1] * (current.ndim - 1)), current.shape)
    (loudness_below, below), (loudness_above, above) = (
        _scan_bins(previous, current, index, reverse=reverse) for reverse in (False, True)
    )
    neighbor = jnp.where(loudness_below >= loudness_above, below, above)
    source = jnp.where(previous >= jnp.maximum(loudness_below, loudness_above), index, neighbor)
    return jnp.moveaxis(source, 0, -1)


def _scan_bins(
    previous: Float[Array, "bins ..."],
    current: Float[Array, "bins ..."],
    index: Int[Array, "bins ..."],
    *,
    reverse: bool,
) -> tuple[Float[Array, "bins ..."], Int[Array, "bins ..."]]:
    """Find the strongest path to each bin m of the current frame that starts at a lower bin r < m.

    The path consists of bin r of the previous frame and the bins from r to m of the current frame. The strength of a
    path is its smallest magnitude, without the last bin.

    Args:
      previous, current: magnitudes or log magnitudes of two successive frames.
      index: the index of each bin.
      reverse: whether to search the paths that start at a higher bin r > m instead.

    Returns:
      strength: strength of the strongest path to each bin; -inf if there is no path.
      start: bin r at which this path starts.
    """

    def step(best: tuple[Array, Array], bin_values: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], Any]:
        (loudness, source), (previous, current, index) = best, bin_values
        new_source = jnp.where(previous >= loudness, index, source)
        return (jnp.minimum(current, jnp.maximum(previous, loudness)), new_source), best

    no_path = jnp.full_like(current[0], -jnp.inf), index[0]
    return jax.lax.scan(step, no_path, (previous, current, index), reverse=reverse)[1]


class _State(NamedTuple):
    """What real-time phase gradient heap integration (RTPGHI) remembers between two frames.

    previous, current: magnitudes of the last two frames received.
    phase: phases in radians of the frame `previous`, relative to its center.
    peak: greatest magnitude received so far.
    """

    previous: Bins
    current: Bins
    phase: Bins
    peak: Float[Array, "*batch 1"]


def _begin(previous: Bins, transform: Stft) -> _State:
    gamma(transform)  # raises an error if the window is not supported
    return _State(previous, previous, jnp.zeros_like(previous), jnp.max(previous, axis=-1, keepdims=True))


def _advance(state: _State, following: Bins, transform: Stft) -> tuple[_State, Bins]:
    peak = jnp.maximum(state.peak, jnp.max(following, axis=-1, keepdims=True))
    propagation = compute_propagation(state.previous, state.current, following, peak, transform)
    phase = propagate_frame(state.phase, propagation)
    return _State(state.current, following, phase, peak), center_to_start(phase, transform)


ONLINE = OnlineMethod(1, _begin, _advance)
