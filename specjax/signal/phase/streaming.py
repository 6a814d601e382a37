"""Magnitudes in, sound out, frame by frame: what the methods do for whole spectrograms, as it comes.

A frame is turned into sound once the method knows so many frames after it as it looks ahead. That is the delay, on top
of the frame length that overlapping and adding takes in any case; what is carried is a pytree of fixed size. As many
hops of silence come out first; at the end as many frames of silence bring out the first hop of the last frame, and one
for each further hop of it the rest.
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
    """What is carried from frame to frame: what the method knows, frames that wait for it, sound not yet complete."""

    past: Any
    held: Float[Array, "*batch look_ahead bins"]
    tail: Float[Array, "*batch n_fft"]


def begin(before: Bins, transform: Stft, method: str = "rtpghi") -> Stream:
    """Before the first frame.

    Args:
      before: magnitudes of what is taken to have been before it: silence, or the first frame itself.

    Raises:
      ValueError: an unknown method, a transform without an inverse, one that the method is not for, or one of another
        number of bins.
    """
    how, batch = _method(method), before.shape[:-1]
    transform.check_bins(before[..., None])
    transform.check_invertible()
    held = jnp.zeros((*batch, how.look_ahead, before.shape[-1]))
    return Stream(how.begin(before, transform), held, jnp.zeros((*batch, transform.n_fft)))


def advance(
    stream: Stream, newest: Bins, transform: Stft, method: str = "rtpghi"
) -> tuple[Stream, Float[Array, "*batch hop_length"]]:
    """One more frame's magnitudes, for one hop of sound: the one at which the frame `look_ahead` earlier begins."""
    past, phase = _method(method).advance(stream.past, newest, transform)
    known = jnp.concatenate([stream.held, newest[..., None, :]], axis=-2)
    sound = irfft(polar(known[..., 0, :], phase), transform.n_fft) * along_axis(transform.taper(), phase.ndim, -1)
    summed, hop = stream.tail + sound, transform.hop_length
    done = summed[..., :hop] / along_axis(transform.overlap(), phase.ndim, -1)
    tail = jnp.concatenate([summed[..., hop:], jnp.zeros_like(summed[..., :hop])], axis=-1)
    return Stream(past, known[..., 1:, :], tail), done


def delay_samples(transform: Stft, method: str = "rtpghi") -> int:
    """From a sample's arrival, at worst, to the sound made of it: a frame's length and a hop for each frame ahead."""
    return transform.n_fft + _method(method).look_ahead * transform.hop_length


def _method(name: str) -> OnlineMethod:
    if name not in METHODS:
        raise ValueError(f"method={name!r} is unknown: choose one of {', '.join(METHODS)}")
    return METHODS[name]
