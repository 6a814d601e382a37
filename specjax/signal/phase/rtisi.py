"""Real-time iterative spectrogram inversion with look-ahead (Zhu, Beauregard and Wyse 2007).

Griffin and Lim's iteration in a short view that slides over the spectrogram. Frames that have left it are settled;
those in it are improved in turn, the newest first and the one about to leave last, each by the sum of all that overlap
it. The paper reads the newest frame by an asymmetric window, which makes up for frames that are still to come. They are
missing from the others as well: here every frame has such a window, which is better the more frames overlap.
"""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from specjax.arrays.axes import along_axis
from specjax.signal.fourier import irfft, rfft
from specjax.signal.phase.angle import from_centre
from specjax.signal.phase.online import OnlineMethod
from specjax.signal.polar import angle, polar, scaled, unit
from specjax.signal.shapes import Bins, Magnitude, Phase
from specjax.signal.stft import Stft

LOOK_AHEAD, ITERATIONS = 3, 8


class View(NamedTuple):
    """Frames that are not settled, oldest first: windowed, and the magnitudes that they are to have.

    total: all windowed frames added up, the settled ones too, from the first sample of the oldest in view.
    """

    frames: Float[Array, "*batch view n_fft"]
    magnitude: Float[Array, "*batch view bins"]
    total: Float[Array, "*batch span"]


def rtisi_la(
    magnitude: Magnitude, transform: Stft, *, look_ahead: int = LOOK_AHEAD, iterations: int = ITERATIONS
) -> Phase:
    """Phases in radians for magnitudes, 0 or more.

    Args:
      look_ahead: frames known beyond the one that is settled.
      iterations: of every step; each frame takes part in `look_ahead + 1` steps.

    Raises:
      ValueError: the transform has no inverse or another number of bins, or a number is out of range.
    """
    if look_ahead < 0 or iterations < 1:
        raise ValueError(f"look_ahead={look_ahead} must be 0 or more and iterations={iterations} at least 1")
    transform.check_invertible()
    transform.check_bins(magnitude)
    return _phases(magnitude, transform, online(look_ahead, iterations))


@partial(jax.jit, static_argnames=("transform", "method"))
def _phases(magnitude: Magnitude, transform: Stft, method: OnlineMethod) -> Phase:
    """The last frame is taken to go on while the method looks ahead."""
    rows = jnp.moveaxis(magnitude, -1, 0)
    longer = jnp.concatenate([rows, *[rows[-1:]] * method.look_ahead])
    start = method.begin(rows[0], transform)
    _, phase = jax.lax.scan(lambda view, row: method.advance(view, row, transform), start, longer)
    return jnp.moveaxis(phase[method.look_ahead :], 0, -1)


@cache  # so that equal settings are one method, compiled once
def online(look_ahead: int = LOOK_AHEAD, iterations: int = ITERATIONS) -> OnlineMethod:
    """The method with these settings."""
    return OnlineMethod(look_ahead, partial(begin, look_ahead=look_ahead), partial(advance, iterations=iterations))


def begin(before: Bins, transform: Stft, *, look_ahead: int) -> View:
    """Silence in view, whatever was before."""
    batch = before.shape[:-1]
    return View(
        jnp.zeros((*batch, look_ahead + 1, transform.n_fft)),
        jnp.zeros((*batch, look_ahead + 1, transform.bins)),
        jnp.zeros((*batch, look_ahead * transform.hop_length + transform.n_fft)),
    )


def advance(view: View, newest: Bins, transform: Stft, *, iterations: int) -> tuple[View, Bins]:
    """One more frame in view, all in it improved, and the phases of the oldest, which is settled by that."""
    hop, last = transform.hop_length, view.frames.shape[-2] - 1
    moved = View(
        jnp.concatenate([view.frames[..., 1:, :], jnp.zeros_like(view.frames[..., :1, :])], axis=-2),
        jnp.concatenate([view.magnitude[..., 1:, :], newest[..., None, :]], axis=-2),
        jnp.concatenate([view.total[..., hop:], jnp.zeros_like(view.total[..., :hop])], axis=-1),
    )
    tapers = [_analysis(transform, after=last - place) for place in range(last + 1)]
    placed, direction = _improved(moved, last, _analysis(transform, after=-1), transform)

    def sweep(_: Int[Array, ""], state: tuple[View, Array]) -> tuple[View, Array]:
        view, direction = state
        for place in range(last, -1, -1):
            view, direction = _improved(view, place, tapers[place], transform)
        return view, direction

    found, direction = jax.lax.fori_loop(0, iterations, sweep, (placed, direction))
    return found, angle(direction)


def _improved(
    view: View, place: int, taper: Float[np.ndarray, " n_fft"], transform: Stft
) -> tuple[View, Complex[Array, "*batch bins"]]:
    """The view with one frame given the phases that the sum has there, and these as numbers of magnitude 1."""
    stretch = slice(place * transform.hop_length, place * transform.hop_length + transform.n_fft)
    around = view.total[..., stretch]
    direction = unit(rfft(around * along_axis(taper, around.ndim, -1)))
    # Where no phase is known yet, as at the very beginning, a frame is an impulse at its centre.
    impulse = polar(jnp.ones(transform.bins), jnp.asarray(from_centre(transform)))
    direction = jnp.where(direction == 0, along_axis(impulse, direction.ndim, -1), direction)
    frame = irfft(scaled(direction, view.magnitude[..., place, :]), transform.n_fft)
    frame = frame * along_axis(transform.taper(), frame.ndim, -1)
    total = view.total.at[..., stretch].add(frame - view.frames[..., place, :])
    return View(view.frames.at[..., place, :].set(frame), view.magnitude, total), direction


@cache
def _analysis(transform: Stft, *, after: int) -> Float[np.ndarray, " n_fft"]:
    """What a frame's stretch of the sum is weighted by: the window over the squared windows that were added up there.

    after: of how many later frames these are; -1 leaves out the frame's own.
    """
    hop, taper = transform.hop_length, transform.taper()
    reach = -(-transform.n_fft // hop) - 1
    squares = np.pad(taper**2, reach * hop)
    starts = range(max(reach - after, 0) * hop, len(squares) - transform.n_fft + 1, hop)
    weight = np.sum([squares[start : start + transform.n_fft] for start in starts], axis=0)
    # Where only the foot of one window reaches, its own share is trusted no further than a thousandth of the whole.
    return taper / np.maximum(weight, 1e-3 * np.max(taper**2))
