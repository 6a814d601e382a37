"""Propagation of phases from one frame to the next.

The phase of each bin is the phase of some bin of the previous frame plus an advance. That bin and the advance depend on
the magnitudes alone, so they are computed for all frames of a spectrogram at once. Only the phases themselves are
computed frame after frame.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from specjax.arrays.axes import along_axis
from specjax.signal.phase.angle import center_to_start_offset, wrap
from specjax.signal.shapes import Bins, Phase
from specjax.signal.short_time_fourier import Stft


class Propagation(NamedTuple):
    """Rule that gives the phases of a frame from those of the previous frame.

    The phase of bin m is `previous_phase[source[m]] + advance[m]`.

    source: for each bin, the index of a bin of the previous frame.
    advance: for each bin, the phase advance from the previous frame, in radians.
    """

    source: Int[Array, "*batch bins"]
    advance: Float[Array, "*batch bins"]


def propagate_frame(phase: Bins, propagation: Propagation) -> Bins:
    """Compute the phases of a frame from those of the previous frame.

    Args:
      phase: phases of the previous frame in radians, relative to its center.
      propagation: for each bin of the new frame, a source bin of the previous frame and the phase advance from there.

    Returns:
      Phases of the new frame from -pi to pi, relative to its center.
    """
    return wrap(jnp.take_along_axis(phase, propagation.source, axis=-1) + propagation.advance)


def propagate_all(propagation: Propagation, transform: Stft) -> Phase:
    """Compute the phases of a whole spectrogram, frame after frame.

    The frame before the first one is assumed to have phases of 0.

    Args:
      propagation: the `Propagation` of every frame, stacked along the first axis of both arrays.
      transform: parameters of the short-time Fourier transform.

    Returns:
      Phases of shape `(*batch, bins, frames)` in radians, relative to the first sample of each frame as in `stft`.
    """

    def step(phase: Bins, propagation: Propagation) -> tuple[Bins, Bins]:
        phase = propagate_frame(phase, propagation)
        return phase, phase

    _, phase = jax.lax.scan(step, jnp.zeros_like(propagation.advance[0]), propagation)
    return center_to_start(jnp.moveaxis(phase, 0, -1), transform, axis=-2)


def center_to_start(phase: Float[Array, "..."], transform: Stft, axis: int = -1) -> Float[Array, "..."]:
    """Convert phases relative to the centers of frames to phases relative to their first samples, as in `stft`.

    Args:
      phase: phases in radians.
      transform: parameters of the short-time Fourier transform.
      axis: the axis of `phase` along which bins lie.
    """
    return phase + along_axis(center_to_start_offset(transform), phase.ndim, axis)
