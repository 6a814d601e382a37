"""Interface of the phase reconstruction methods that process one frame at a time."""

from collections.abc import Callable
from typing import Any, NamedTuple

from specjax.signal.shapes import Bins
from specjax.signal.short_time_fourier import Stft


class OnlineMethod(NamedTuple):
    """Phase reconstruction method that receives the magnitudes of one frame at a time.

    look_ahead: delay of the method, in frames.
    begin: function `begin(previous, transform)` that returns the initial state of the method. `previous` is the
      magnitudes of an assumed frame before the first one, such as zeros.
    advance: function `advance(state, newest, transform)` that processes one frame and returns `(state, phases)`.
      `newest` is the magnitudes of frame i, and `phases` is the phases of frame `i - look_ahead`. Phases are in
      radians, relative to the first sample of the frame as in `stft`.
    """

    look_ahead: int
    begin: Callable[[Bins, Stft], Any]
    advance: Callable[[Any, Bins, Stft], tuple[Any, Bins]]
