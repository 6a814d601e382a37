"""Real-time iterative spectrogram inversion with look-ahead, RTISI-LA (Zhu, Beauregard and Wyse 2007).

This is Griffin-Lim on a short buffer of frames that slides over the spectrogram. Frames that have left the buffer are
final. Those in the buffer are updated in turn, from the newest to the oldest, each from the sum of all frames that
overlap it. The paper analyzes the newest frame with an asymmetric window, which compensates for the frames that are
still to come. Later frames are missing from the sum under the other buffered frames as well. Here every frame is
analyzed with such a window, which improves the result, and the more so the more frames overlap.
"""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from specjax.arrays.axes import along_axis
from specjax.signal.fourier import irfft, rfft
from specjax.signal.phase.angle import center_to_start_offset
from specjax.signal.phase.online import OnlineMethod
from specjax.signal.polar import angle, polar, scaled, unit
from specjax.signal.shapes import Bins, Magnitude, Phase
from specjax.signal.stft import Stft

LOOK_AHEAD, ITERATIONS = 3, 8


class Buffer(NamedTuple):
    """Frames that are not final yet, oldest first.

    frames: the frames in time, windowed.
    magnitude: their target magnitudes.
    total: the sum of all windowed frames, final ones included, from the first sample of the oldest buffered frame.
    """

    frames: Float[Array, "*batch buffered n_fft"]
    magnitude: Float[Array, "*batch buffered bins"]
    total: Float[Array, "*batch span"]


def rtisi_la(
    magnitude: Magnitude, transform: Stft, *, look_ahead: int = LOOK_AHEAD, iterations: int = ITERATIONS
) -> Phase:
    """Estimate phases in radians from magnitudes, 0 or more.

    Args:
      look_ahead: number of frames known beyond the one that becomes final.
      iterations: iterations per step. Each frame takes part in `look_ahead + 1` steps.

    Raises:
      ValueError: the transform has no inverse, the number of bins does not match, or a number is out of range.
    """
    if look_ahead < 0 or iterations < 1:
        raise ValueError(f"look_ahead={look_ahead} must be 0 or more and iterations={iterations} at least 1")
    transform.check_invertible()
    transform.check_bins(magnitude)
    return _scan_frames(magnitude, transform, online(look_ahead, iterations))


@partial(jax.jit, static_argnames=("transform", "method"))
def _scan_frames(magnitude: Magnitude, transform: Stft, method: OnlineMethod) -> Phase:
    """Run the online method over all frames; the last frame is repeated to fill the look-ahead."""
    rows = jnp.moveaxis(magnitude, -1, 0)
    extended = jnp.concatenate([rows, *[rows[-1:]] * method.look_ahead])
    start = method.begin(rows[0], transform)
    _, phase = jax.lax.scan(lambda buffer, row: method.advance(buffer, row, transform), start, extended)
    return jnp.moveaxis(phase[method.look_ahead :], 0, -1)


@cache  # equal settings give the same object, which is compiled once
def online(look_ahead: int = LOOK_AHEAD, iterations: int = ITERATIONS) -> OnlineMethod:
    """Return RTISI-LA with these settings as an online method."""
    return OnlineMethod(look_ahead, partial(begin, look_ahead=look_ahead), partial(advance, iterations=iterations))


def begin(previous: Bins, transform: Stft, *, look_ahead: int) -> Buffer:
    """Return a buffer of silence. The values of `previous`, the magnitudes before the first frame, are not used."""
    batch = previous.shape[:-1]
    return Buffer(
        jnp.zeros((*batch, look_ahead + 1, transform.n_fft)),
        jnp.zeros((*batch, look_ahead + 1, transform.bins)),
        jnp.zeros((*batch, look_ahead * transform.hop_length + transform.n_fft)),
    )


def advance(buffer: Buffer, newest: Bins, transform: Stft, *, iterations: int) -> tuple[Buffer, Bins]:
    """Add the newest frame to the buffer, update all frames in it, and return the final phases of the oldest one."""
    hop, last = transform.hop_length, buffer.frames.shape[-2] - 1
    shifted = Buffer(
        jnp.concatenate([buffer.frames[..., 1:, :], jnp.zeros_like(buffer.frames[..., :1, :])], axis=-2),
        jnp.concatenate([buffer.magnitude[..., 1:, :], newest[..., None, :]], axis=-2),
        jnp.concatenate([buffer.total[..., hop:], jnp.zeros_like(buffer.total[..., :hop])], axis=-1),
    )
    windows = [_analysis_window(transform, later_frames=last - index) for index in range(last + 1)]
    # At first the newest frame is not in the sum itself.
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
    """Give one frame the phases that the sum of frames has at its place.

    Returns:
      The updated buffer, and the phases as complex numbers of magnitude 1.
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
    """Compute the window that a frame's segment of the sum is analyzed with.

    It is the transform's window divided by the sum of the squared windows of the frames that the segment contains.

    Args:
      later_frames: how many later frames the sum contains; -1: not even the frame itself.
    """
    hop, taper = transform.hop_length, transform.taper()
    reach = -(-transform.n_fft // hop) - 1
    squares = np.pad(taper**2, reach * hop)
    starts = range(max(reach - later_frames, 0) * hop, len(squares) - transform.n_fft + 1, hop)
    weight = np.sum([squares[start : start + transform.n_fft] for start in starts], axis=0)
    # Where only the edge of one window reaches, the divisor is limited to a thousandth of the window's greatest square.
    return taper / np.maximum(weight, 1e-3 * np.max(taper**2))
