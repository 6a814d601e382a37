"""Streaming inversion: one frame of magnitudes in, one hop of sound out.

The online methods give the same result here as for a whole spectrogram. A frame becomes sound as soon as the method has
seen the `look_ahead` frames after it. This delay comes on top of one frame length, which overlap-add needs in any case.
The state is a pytree of fixed size.

The first `look_ahead` hops of output are silence. At the end of the input, `look_ahead` frames of silence flush out the
first hop of the last frame, and one more frame of silence flushes out each further hop of it.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.arrays.axes import along_axis
from specjax.signal.fourier import irfft
from specjax.signal.phase import rtisi, rtpghi, spsi
from specjax.signal.phase.online import OnlineMethod
from specjax.signal.polar import polar
from specjax.signal.shapes import Bins
from specjax.signal.stft import Stft

METHODS = {"spsi": spsi.ONLINE, "rtpghi": rtpghi.ONLINE, "rtisi_la": rtisi.online()}


class Stream(NamedTuple):
    """State between two frames.

    method_state: state of the phase reconstruction method.
    pending: magnitudes of the frames whose phases are not known yet.
    tail: sound that later frames will still add to.
    """

    method_state: Any
    pending: Float[Array, "*batch look_ahead bins"]
    tail: Float[Array, "*batch n_fft"]


def begin(previous: Bins, transform: Stft, method: str = "rtpghi") -> Stream:
    """Return the state before the first frame.

    Args:
      previous: magnitudes of the frame assumed to precede the first one: silence, or the first frame itself.
      method: one of `METHODS`.

    Raises:
      ValueError: the method is unknown, or does not support the transform; the transform has no inverse, or the number
        of bins does not match it.
    """
    online, batch = _get_method(method), previous.shape[:-1]
    transform.check_bins(previous[..., None])
    transform.check_invertible()
    pending = jnp.zeros((*batch, online.look_ahead, previous.shape[-1]))
    return Stream(online.begin(previous, transform), pending, jnp.zeros((*batch, transform.n_fft)))


def advance(
    stream: Stream, newest: Bins, transform: Stft, method: str = "rtpghi"
) -> tuple[Stream, Float[Array, "*batch hop_length"]]:
    """Take the magnitudes of one more frame, and return one hop of sound.

    The hop starts at the first sample of the frame that came `look_ahead` frames earlier.
    """
    method_state, phase = _get_method(method).advance(stream.method_state, newest, transform)
    known = jnp.concatenate([stream.pending, newest[..., None, :]], axis=-2)
    frame = irfft(polar(known[..., 0, :], phase), transform.n_fft) * along_axis(transform.taper(), phase.ndim, -1)
    total, hop = stream.tail + frame, transform.hop_length
    sound = total[..., :hop] / along_axis(transform.overlap(), phase.ndim, -1)
    tail = jnp.concatenate([total[..., hop:], jnp.zeros_like(total[..., :hop])], axis=-1)
    return Stream(method_state, known[..., 1:, :], tail), sound


def delay_samples(transform: Stft, method: str = "rtpghi") -> int:
    """Return the worst-case delay in samples from input to output: one frame, plus one hop per look-ahead frame."""
    return transform.n_fft + _get_method(method).look_ahead * transform.hop_length


def _get_method(name: str) -> OnlineMethod:
    if name not in METHODS:
        raise ValueError(f"method={name!r} is unknown: choose one of {', '.join(METHODS)}")
    return METHODS[name]
