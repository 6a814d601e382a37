"""Interface of the phase reconstruction methods that process one frame at a time."""

from collections.abc import Callable
from typing import Any, NamedTuple

from specjax.signal.shapes import Bins
from specjax.signal.stft import Stft


class OnlineMethod(NamedTuple):
    """Phase reconstruction method that takes the magnitudes of one frame at a time.

    look_ahead: number of frames that the method must see after a frame before it can return that frame's phases.
    begin: returns the initial state. Its arguments are the magnitudes of the frame assumed to precede the first one,
      and the transform.
    advance: takes the state, the magnitudes of the next frame and the transform. Returns the new state, and the phases
      of the frame `look_ahead` frames earlier, in radians and relative to the first sample as in `stft`.
    """

    look_ahead: int
    begin: Callable[[Bins, Stft], Any]
    advance: Callable[[Any, Bins, Stft], tuple[Any, Bins]]
