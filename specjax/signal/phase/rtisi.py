"""Real-time iterative spectrogram inversion with look-ahead, RTISI-LA (Zhu, Beauregard and Wyse 2007).

This is Griffin-Lim on a short buffer of frames that slides over the spectrogram. Frames that have left the buffer are
final. Frames in the buffer are updated in turn, from the newest to the oldest. To update a frame, all overlapping
frames are added up, and the part of the sum that the frame spans is Fourier transformed. The frame gets the phases of
the result.

Frames that are still to come are missing from the sum. The paper compensates for that by analyzing the newest frame
with an asymmetric window. Later frames are missing for the other frames in the buffer as well, so here every frame is
analyzed with such a window. This improves the result, and more so the more frames overlap.
"""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from specjax.arrays.arguments import check_arguments
from specjax.arrays.axes import along_axis
from specjax.signal.fourier import irfft, rfft
from specjax.signal.phase.angle import center_to_start_offset
from specjax.signal.phase.online import OnlineMethod
from specjax.signal.polar import angle, polar, scaled, unit
from specjax.signal.shapes import Bins, Magnitude, Phase
from specjax.signal.short_time_fourier import Stft

LOOK_AHEAD, ITERATIONS = 3, 8


class Buffer(NamedTuple):
    """State of RTISI-LA, real-time iterative spectrogram inversion with look-ahead.

    It holds the latest frames, whose phases may still change, with the oldest frame first.

    frames: the frames in the time domain, multiplied by the window.
    magnitude: the target magnitudes of the frames.
    total: sum of all overlapping windowed frames, including frames that have already left the buffer. It begins at the
      first sample of the oldest frame in the buffer.
    """

    frames: Float[Array, "*batch buffered n_fft"]
    magnitude: Float[Array, "*batch buffered bins"]
    total: Float[Array, "*batch span"]


@check_arguments
def rtisi_la(
    magnitude: Magnitude, transform: Stft, *, look_ahead: int = LOOK_AHEAD, iterations: int = ITERATIONS
) -> Phase:
    """Estimate phases from magnitudes by RTISI-LA, real-time iterative spectrogram inversion with look-ahead.

    The method runs Griffin-Lim on a buffer of `look_ahead + 1` frames that slides over the spectrogram. The phases of a
    frame stay as they are once the frame leaves the buffer.

    Args:
      magnitude: magnitudes, 0 or more, shape `(*batch, bins, frames)`.
      transform: parameters of the short-time Fourier transform.
      look_ahead: number of later frames that the phases of a frame can depend on.
      iterations: number of iterations for each position of the buffer. A frame takes part in `look_ahead + 1`
        positions.

    Returns:
      Phases in radians, of the same shape as `magnitude`.

    Raises:
      ValueError: the transform has no inverse, the number of bins does not match the transform, or `look_ahead` or
        `iterations` is out of range.
    """
    if look_ahead < 0 or iterations < 1:
        raise ValueError(f"look_ahead={look_ahead} must be 0 or more and iterations={iterations} at least 1")
    transform.check_invertible()
    transform.check_bins(magnitude)
    return _scan_frames(magnitude, transform, online(look_ahead, iterations))


@partial(jax.jit, static_argnames=("transform", "method"))
def _scan_frames(magnitude: Magnitude, transform: Stft, method: OnlineMethod) -> Phase:
    """Pass the frames of spectrograms one by one to a phase reconstruction method, and return the phases in radians.

    The phases have the shape of `magnitude`. The method returns the phases of a frame only after it has received
    `method.look_ahead` later frames. So at the end the last frame is repeated `method.look_ahead` times.
    """
    rows = jnp.moveaxis(magnitude, -1, 0)
    extended = jnp.concatenate([rows, *[rows[-1:]] * method.look_ahead])
    start = method.begin(rows[0], transform)
    _, phase = jax.lax.scan(lambda buffer, row: method.advance(buffer, row, transform), start, extended)
    return jnp.moveaxis(phase[method.look_ahead :], 0, -1)


@cache  # equal settings return the same object, so that code that takes it as a static argument is compiled once
def online(look_ahead: int = LOOK_AHEAD, iterations: int = ITERATIONS) -> OnlineMethod:
    """Return RTISI-LA (real-time iterative spectrogram inversion with look-ahead) for processing one frame at a time.

    The method runs Griffin-Lim on a buffer of the latest `look_ahead + 1` frames.

    Args:
      look_ahead: number of later frames that must be received before the phases of a frame are returned.
      iterations: number of iterations over all frames in the buffer each time a frame is added.
    """
    return OnlineMethod(look_ahead, partial(begin, look_ahead=look_ahead), partial(advance, iterations=iterations))


def begin(previous: Bins, transform: Stft, *, look_ahead: int) -> Buffer:
    """Return the state of RTISI-LA before the first frame: a buffer of `look_ahead + 1` frames that are all zeros.

    RTISI-LA is real-time iterative spectrogram inversion with look-ahead.

    Args:
      previous: array of shape `(*batch, bins)`. Only its batch shape is used, not its values.
      transform: parameters of the short-time Fourier transform.
      look_ahead: number of later frames that must be received before the phases of a frame are returned.
    """
    batch = previous.shape[:-1]
    return Buffer(
        jnp.zeros((*batch, look_ahead + 1, transform.n_fft)),
        jnp.zeros((*batch, look_ahead + 1, transform.bins)),
        jnp.zeros((*batch, look_ahead * transform.hop_length + transform.n_fft)),
    )


def advance(buffer: Buffer, newest: Bins, transform: Stft, *, iterations: int) -> tuple[Buffer, Bins]:
    """Process one frame with RTISI-LA (real-time iterative spectrogram inversion with look-ahead).

    The frame is added to the buffer of the latest frames. The frame that was the oldest before the call leaves the
    buffer. Then the phases of all frames in the buffer are improved by Griffin-Lim.

    Args:
      buffer: the state that `begin` or the previous call returned.
      newest: magnitudes of the newest frame, shape `(*batch, bins)`.
      transform: parameters of the short-time Fourier transform.
      iterations: number of iterations over all frames in the buffer.

    Returns:
      The new buffer, and the phases in radians of the oldest frame in it. Later calls do not change these phases.
    """
    hop, last = transform.hop_length, buffer.frames.shape[-2] - 1
    shifted = Buffer(
        jnp.concatenate([buffer.frames[..., 1:, :], jnp.zeros_like(buffer.frames[..., :1, :])], axis=-2),
        jnp.concatenate([buffer.magnitude[..., 1:, :], newest[..., None, :]], axis=-2),
        jnp.concatenate([buffer.total[..., hop:], jnp.zeros_like(buffer.total[..., :hop])], axis=-1),
    )
    windows = [_analysis_window(transform, later_frames=last - index) for index in range(last + 1)]
    # At first the newest frame is not in the sum, so its own window is left out of the divisor as well.
    start, direction = _update_frame(shifted, last, _analysis_window(transform, later_frames=-1), transform)

    def sweep(_: Int[Array, ""], state: tuple[Buffer, Array]) -> tuple[Buffer, Array]:
        buffer, direction = state
        for index in range(last, -1, -1):
            buffer, direction = _update_frame(buffer, index, windows[index], transform)
        return buffer, direction

    result, direction = jax.lax.fori_loop(0, iterations, sweep, (start, direction))
    return result, angle(direction)


def _update_frame(
    buffer: Buffer, index: int, window: Float[np.ndarray, " n_fft"], transform: Stft
) -> tuple[Buffer, Complex[Array, "*batch bins"]]:
    """Update the phases of one frame in the buffer; it keeps its target magnitudes.

    The part of `buffer.total` that the frame spans is windowed and Fourier transformed. The frame gets the phases of
    the result.

    Args:
      index: position of the frame in the buffer.
      window: window for this Fourier transform.
      transform: parameters of the short-time Fourier transform.

    Returns:
      The updated buffer, and the phases of the frame as complex numbers of magnitude 1.
    """
    span = slice(index * transform.hop_length, index * transform.hop_length + transform.n_fft)
    segment = buffer.total[..., span]
    direction = unit(rfft(segment * along_axis(window, segment.ndim, -1)))
    # Where no phase is known yet, as at the very beginning, the frame becomes an impulse at its center.
    impulse = polar(jnp.ones(transform.bins), jnp.asarray(center_to_start_offset(transform)))
    direction = jnp.where(direction == 0, along_axis(impulse, direction.ndim, -1), direction)
    frame = irfft(scaled(direction, buffer.magnitude[..., index, :]), transform.n_fft)
    frame = frame * along_axis(transform.taper(), frame.ndim, -1)
    total = buffer.total.at[..., span].add(frame - buffer.frames[..., index, :])
    return Buffer(buffer.frames.at[..., index, :].set(frame), buffer.magnitude, total), direction


@cache
def _analysis_window(transform: Stft, *, later_frames: int) -> Float[np.ndarray, " n_fft"]:
    """Compute the window that turns a segment of an overlap-added sum of frames into a windowed frame of the wave.

    It is the window of the transform, divided at each sample by the sum of the squared windows that cover the sample.
    One multiplication thus normalizes the sum and applies the window.

    Args:
      transform: parameters of the short-time Fourier transform.
      later_frames: number of frames in the sum that come after the frame at this segment. -1 means that this frame is
        not in the sum, which ends with the frame before it.
    """
    # The windows are squared because each frame in the sum was windowed twice, by analysis and by synthesis.
    hop, taper = transform.hop_length, transform.taper()
    reach = -(-transform.n_fft // hop) - 1
    squares = np.pad(taper**2, reach * hop)
    starts = range(max(reach - later_frames, 0) * hop, len(squares) - transform.n_fft + 1, hop)
    weight = np.sum([squares[start : start + transform.n_fft] for start in starts], axis=0)
    # The divisor is tiny where only the edge of one window lies, so it is at least 1/1000 of the greatest square.
    return taper / np.maximum(weight, 1e-3 * np.max(taper**2))
