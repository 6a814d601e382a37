"""Interface of the phase reconstruction methods that process one frame at a time."""

from collections.abc import Callable
from typing import Any, NamedTuple

from specjax.signal.shapes import Bins
from specjax.signal.stft import Stft


class OnlineMethod(NamedTuple):
    """Phase reconstruction method that receives the magnitudes of one frame at a time.

    look_ahead: number of later frames that the method must receive before it can return the phases of a frame.
    begin: function that returns the initial state of the method. Its arguments are the magnitudes of the frame assumed
      to precede the first one, and the parameters of the transform.
    advance: function that processes one frame. Its arguments are the state, the magnitudes of the newest frame and the
      parameters of the transform. It returns the new state, and the phases of the frame that came `look_ahead` frames
      before the newest one. Phases are in radians, relative to the first sample of the frame as in `stft`.
    """

    look_ahead: int
    begin: Callable[[Bins, Stft], Any]
    advance: Callable[[Any, Bins, Stft], tuple[Any, Bins]]
