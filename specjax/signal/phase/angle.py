"""Angles in radians, and the sample of a frame that they are relative to."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.signal.stft import Stft


def wrapped(phase: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The same phase, within half a turn of 0: where float32 is finest."""
    turns = phase / (2 * jnp.pi)
    return (turns - jnp.round(turns)) * (2 * jnp.pi)


def from_centre(transform: Stft) -> Float[np.ndarray, " bins"]:
    """What is added to phases relative to a frame's centre for those of `stft`, relative to its first sample."""
    turns = np.arange(transform.bins) * (transform.n_fft // 2) / transform.n_fft
    return (-2 * np.pi * (turns - np.round(turns))).astype(np.float32)
