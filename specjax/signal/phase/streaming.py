"""Streaming inversion: each call takes the magnitudes of one frame and returns one hop (`hop_length` samples) of sound.

The phases are the same as those that the method gives for a whole spectrogram. Call `begin` once, and then `advance`
for each frame. The state between calls is a pytree of fixed size.

A frame becomes sound after the method has received the next `look_ahead` frames. So the first `look_ahead` hops of
output are silence. Overlap-add causes a further delay of one frame length.

At the end of the input, pass `look_ahead` frames of silence to get the first hop of the last frame. Each further frame
of silence then returns one more hop of the last frame.
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
from specjax.signal.short_time_fourier import Stft

METHODS = {"spsi": spsi.ONLINE, "rtpghi": rtpghi.ONLINE, "rtisi_la": rtisi.online()}


class Stream(NamedTuple):
    """State of streaming inversion between two calls of `advance`.

    The phases of a frame are known once `look_ahead` later frames have been received. `look_ahead` depends on the
    method.

    method_state: state of the phase reconstruction method.
    pending: magnitudes of the last `look_ahead` frames, whose phases are not known yet.
    tail: overlap-add buffer. It begins at the end of the returned sound.
    """

    method_state: Any
    pending: Float[Array, "*batch look_ahead bins"]
    tail: Float[Array, "*batch n_fft"]


def begin(previous: Bins, transform: Stft, method: str = "rtpghi") -> Stream:
    """Return the state of streaming inversion before the first frame, to be passed to `advance`.

    Args:
      previous: magnitudes of the frame assumed to precede the first one, shape `(*batch, bins)`. Pass zeros (silence),
        or the first frame itself.
      transform: parameters of the short-time Fourier transform.
      method: name of the phase reconstruction method: `spsi`, `rtpghi` or `rtisi_la`.

    Raises:
      ValueError: the method is unknown or does not support the transform, the transform has no inverse, or the number
        of bins does not match the transform.
    """
    online, batch = _get_method(method), previous.shape[:-1]
    transform.check_bins(previous[..., None])
    transform.check_invertible()
    pending = jnp.zeros((*batch, online.look_ahead, previous.shape[-1]))
    return Stream(online.begin(previous, transform), pending, jnp.zeros((*batch, transform.n_fft)))


def advance(
    stream: Stream, newest: Bins, transform: Stft, method: str = "rtpghi"
) -> tuple[Stream, Float[Array, "*batch hop_length"]]:
    """Process the magnitudes of one more frame, and return the new state and one hop of sound.

    If `newest` is frame i, the hop starts at the first sample of frame `i - look_ahead`. The delay `look_ahead`, in
    frames, depends on the method.

    Args:
      stream: the state after the previous frame.
      newest: magnitudes of the frame, shape `(*batch, bins)`.
      transform, method: the values that were passed to `begin`.

    Raises:
      ValueError: the method is unknown.
    """
    method_state, phase = _get_method(method).advance(stream.method_state, newest, transform)
    known = jnp.concatenate([stream.pending, newest[..., None, :]], axis=-2)
    frame = irfft(polar(known[..., 0, :], phase), transform.n_fft) * along_axis(transform.taper(), phase.ndim, -1)
    total, hop = stream.tail + frame, transform.hop_length
    sound = total[..., :hop] / along_axis(transform.overlap(), phase.ndim, -1)
    tail = jnp.concatenate([total[..., hop:], jnp.zeros_like(total[..., :hop])], axis=-1)
    return Stream(method_state, known[..., 1:, :], tail), sound


def delay_samples(transform: Stft, method: str = "rtpghi") -> int:
    """Return the worst-case delay from input to output in samples: one frame, plus one hop per frame of look-ahead."""
    return transform.n_fft + _get_method(method).look_ahead * transform.hop_length


def _get_method(name: str) -> OnlineMethod:
    if name not in METHODS:
        raise ValueError(f"method={name!r} is unknown: choose one of {', '.join(METHODS)}")
    return METHODS[name]
