"""Methods that go from frame to frame: what they share, for whole spectrograms and for streams."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.signal.stft import Stft

Bins = Float[Array, "*batch bins"]


class Online(NamedTuple):
    """A method that is told one frame's magnitudes after the other.

    look_ahead: frames that it must know beyond the one whose phases it tells.
    begin: what it knows before the first frame, from the magnitudes of what is taken to have been before that.
    advance: what it knows once one more frame has come, and the phases, in radians as `stft` has them, of the frame
      `look_ahead` before that one.
    """

    look_ahead: int
    begin: Callable[[Bins, Stft], Any]
    advance: Callable[[Any, Bins, Stft], tuple[Any, Bins]]


def phases(
    magnitude: Float[Array, "*batch bins frames"], transform: Stft, method: Online
) -> Float[Array, "*batch bins frames"]:
    """Phases in radians of a whole spectrogram, whose first and last frame are taken to have been there for long."""
    rows = jnp.moveaxis(magnitude, -1, 0)
    longer = jnp.concatenate([rows, *[rows[-1:]] * method.look_ahead])
    _, phase = jax.lax.scan(
        lambda known, row: method.advance(known, row, transform), method.begin(rows[0], transform), longer
    )
    return jnp.moveaxis(phase[method.look_ahead :], 0, -1)
