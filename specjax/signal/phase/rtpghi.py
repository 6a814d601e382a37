"""Real-time phase gradient heap integration, RTPGHI (Prusa and Sondergaard 2016).

The phases of a frame are integrated from those of the previous frame. The paper starts from a heap of all bins of the
previous frame. It takes the loudest point from the heap and continues either along time, to the same bin of the current
frame, or along frequency, to a neighboring bin of the current frame. A path to bin m thus starts at some bin r of the
previous frame, steps to bin r of the current frame, and follows the bins from there to m. The heap reaches m from the
bin r whose path has the loudest faintest point. Along a line of bins, such paths are found by two scans, one upwards
and one downwards. The scans need neither a heap nor the phases, so they run for all frames of a spectrogram in
parallel. They reach every bin on the same path as the heap does.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from specjax.arrays.axes import pad_axis
from specjax.signal.phase.gradient import compute_log_magnitude, gamma, phase_step_per_bin, phase_step_per_frame
from specjax.signal.phase.online import OnlineMethod
from specjax.signal.phase.propagation import Propagation, center_to_start, propagate_all, propagate_frame
from specjax.signal.shapes import Bins, Magnitude, Phase
from specjax.signal.stft import Stft


@partial(jax.jit, static_argnames="transform")
def rtpghi(magnitude: Magnitude, transform: Stft) -> Phase:
    """Estimate phases in radians from magnitudes, 0 or more.

    At both ends, the outermost frame is repeated where a neighboring frame is missing.

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
    """Compute where the phases of the current frame come from: along time to this frame, then along its bins.

    Args:
      previous, current, following: magnitudes of three successive frames.
      peak: greatest magnitude so far, that of the following frame included.

    Raises:
      ValueError: the transform's window has no known Gaussian approximation.
    """
    previous, current, following = (compute_log_magnitude(x, peak) for x in (previous, current, following))
    per_frame = (phase_step_per_frame(previous, transform) + phase_step_per_frame(current, transform)) / 2
    per_bin = phase_step_per_bin(previous, following, transform)
    along_bins = pad_axis(jnp.cumsum((per_bin[..., 1:] + per_bin[..., :-1]) / 2, axis=-1), 1, 0)
    source = find_sources(previous, current)
    return Propagation(source, jnp.take_along_axis(per_frame - along_bins, source, axis=-1) + along_bins)


def find_sources(previous: Bins, current: Bins) -> Int[Array, "*batch bins"]:
    """Find the bin of the previous frame from which the heap reaches each bin of the current frame.

    Args:
      previous, current: loudness of two successive frames, on any monotonic scale.
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
    """Find the best path that reaches each bin along the bins of the current frame, from one side.

    Args:
      reverse: paths come from the higher bins, not from the lower ones.

    Returns:
      The loudness of the faintest point on the path, and the bin of the previous frame at which the path begins. The
      bin itself is not counted. Where no path exists the loudness is -inf.
    """

    def step(best: tuple[Array, Array], bin_values: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], Any]:
        (loudness, source), (previous, current, index) = best, bin_values
        new_source = jnp.where(previous >= loudness, index, source)
        return (jnp.minimum(current, jnp.maximum(previous, loudness)), new_source), best

    no_path = jnp.full_like(current[0], -jnp.inf), index[0]
    return jax.lax.scan(step, no_path, (previous, current, index), reverse=reverse)[1]


class _State(NamedTuple):
    """State between two frames.

    previous, current: magnitudes of the last two frames.
    phase: phases of the earlier of the two, relative to its center.
    peak: greatest magnitude so far.
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
