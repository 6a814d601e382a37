"""Phases that follow from those of the frame before.

From which bin a phase comes, and how far it turns on the way, depends on magnitudes alone, and is found for a whole
spectrogram at once. Only the turning itself goes from frame to frame.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from specjax.arrays.axes import along_axis
from specjax.signal.phase.angle import from_centre, wrapped
from specjax.signal.shapes import Bins, Phase
from specjax.signal.stft import Stft


class Links(NamedTuple):
    """Of every bin of a frame: from which bin of the frame before its phase comes, and how far it turns, in radians."""

    source: Int[Array, "*batch bins"]
    turn: Float[Array, "*batch bins"]


def follow(phase: Bins, links: Links) -> Bins:
    """Phases of a frame by those of the frame before, both relative to the centres of the frames."""
    return wrapped(jnp.take_along_axis(phase, links.source, axis=-1) + links.turn)


def follow_all(links: Links, transform: Stft) -> Phase:
    """Phases of a whole spectrogram, as `stft` has them, by links of all frames (first axis), from phases of 0."""

    def step(phase: Bins, links: Links) -> tuple[Bins, Bins]:
        phase = follow(phase, links)
        return phase, phase

    _, phase = jax.lax.scan(step, jnp.zeros_like(links.turn[0]), links)
    return relative_to_start(jnp.moveaxis(phase, 0, -1), transform, axis=-2)


def relative_to_start(phase: Float[Array, "..."], transform: Stft, axis: int = -1) -> Float[Array, "..."]:
    """Phases relative to the centres of frames, as `stft` has them: to the first samples. Bins lie along `axis`."""
    return phase + along_axis(from_centre(transform), phase.ndim, axis)
