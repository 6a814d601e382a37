"""Magnitudes in, sound out, frame by frame: what `spsi` and `rtpghi` do for whole spectrograms, as it comes.

A frame is turned into sound when the one after it is known. The delay is that one frame, on top of the frame length
that overlapping and adding takes in any case; what is carried is a pytree of fixed size.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.signal.axes import along
from specjax.signal.fourier import irfft
from specjax.signal.phase import rtpghi
from specjax.signal.phase.spsi import from_centre, next_phase
from specjax.signal.stft import Stft, polar

METHODS = ("rtpghi", "spsi")

Bins = Float[Array, "*batch bins"]


class Stream(NamedTuple):
    """What is carried from frame to frame: what the method knows, the last magnitudes, and sound not yet complete."""

    past: Any
    held: Bins
    tail: Float[Array, "*batch n_fft"]


def begin(first: Bins, transform: Stft, method: str = "rtpghi") -> Stream:
    """Before anything but the magnitudes of the first frame is known.

    Raises:
      ValueError: an unknown method, a transform without an inverse, or one that the method is not for.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown: choose {' or '.join(METHODS)}")
    transform.check_invertible()
    past = rtpghi.begin(first) if method == "rtpghi" else jnp.zeros_like(first)
    return Stream(past, first, jnp.zeros((*first.shape[:-1], transform.n_fft)))


def advance(
    stream: Stream, following: Bins, transform: Stft, method: str = "rtpghi"
) -> tuple[Stream, Float[Array, "*batch hop_length"]]:
    """The next frame's magnitudes, for the samples that the frame before it completes: one hop of sound."""
    past, phase = (
        rtpghi.advance(stream.past, following, transform)
        if method == "rtpghi"
        else (next_phase(stream.past, stream.held, transform),) * 2
    )
    spectrum = polar(stream.held, phase + along(from_centre(transform), phase.ndim, -1))
    sound = irfft(spectrum, transform.n_fft) * along(transform.taper(), phase.ndim, -1)
    summed = stream.tail + sound
    hop = transform.hop_length
    done = summed[..., :hop] / along(transform.overlap(), phase.ndim, -1)
    tail = jnp.concatenate([summed[..., hop:], jnp.zeros_like(summed[..., :hop])], axis=-1)
    return Stream(past, following, tail), done


def delay_samples(transform: Stft) -> int:
    """From a sample's arrival, at worst, to the sound made of it: a frame's length and one hop of look-ahead."""
    return transform.n_fft + transform.hop_length
