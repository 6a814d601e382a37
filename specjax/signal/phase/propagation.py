"""Propagation of phases from one frame to the next.

Which bin a phase comes from, and how far it advances on the way, depends on the magnitudes alone. Both are computed for
a whole spectrogram at once. Only the phases themselves are computed frame after frame.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from specjax.arrays.axes import along_axis
from specjax.signal.phase.angle import center_to_start_offset, wrap
from specjax.signal.shapes import Bins, Phase
from specjax.signal.stft import Stft


class Propagation(NamedTuple):
    """Origin of the phases of a frame.

    source: for each bin, the bin of the previous frame from which its phase comes.
    advance: for each bin, what is added to that phase, in radians.
    """

    source: Int[Array, "*batch bins"]
    advance: Float[Array, "*batch bins"]


def propagate_frame(phase: Bins, propagation: Propagation) -> Bins:
    """Compute the phases of a frame from those of the previous frame, both relative to the centers of frames."""
    return wrap(jnp.take_along_axis(phase, propagation.source, axis=-1) + propagation.advance)


def propagate_all(propagation: Propagation, transform: Stft) -> Phase:
    """Compute the phases of a whole spectrogram, relative to the first samples of frames as in `stft`.

    Args:
      propagation: that of every frame, with frames along the first axis. The frame before the first has phases of 0.
    """

    def step(phase: Bins, propagation: Propagation) -> tuple[Bins, Bins]:
        phase = propagate_frame(phase, propagation)
        return phase, phase

    _, phase = jax.lax.scan(step, jnp.zeros_like(propagation.advance[0]), propagation)
    return center_to_start(jnp.moveaxis(phase, 0, -1), transform, axis=-2)


def center_to_start(phase: Float[Array, "..."], transform: Stft, axis: int = -1) -> Float[Array, "..."]:
    """Convert phases relative to the centers of frames to phases relative to their first samples, as in `stft`.

    Args:
      axis: the axis of bins.
    """
    return phase + along_axis(center_to_start_offset(transform), phase.ndim, axis)
