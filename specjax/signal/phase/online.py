"""What a stream asks of a method that goes from frame to frame."""

from collections.abc import Callable
from typing import Any, NamedTuple

from specjax.signal.shapes import Bins
from specjax.signal.stft import Stft


class OnlineMethod(NamedTuple):
    """A method that takes the magnitudes of one frame after the other.

    look_ahead: frames that it must know beyond the one whose phases it gives.
    begin: what it knows before the first frame, from the magnitudes of what is taken to have been before that.
    advance: what it knows once one more frame has come, and the phases, in radians as `stft` has them, of the frame
      `look_ahead` before that one.
    """

    look_ahead: int
    begin: Callable[[Bins, Stft], Any]
    advance: Callable[[Any, Bins, Stft], tuple[Any, Bins]]
