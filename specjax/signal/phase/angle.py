"""Phase angles in radians, and their reference point within a frame."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.signal.stft import Stft


def wrap(phase: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Wrap a phase to the range from -pi to pi, where float32 is most precise."""
    turns = phase / (2 * jnp.pi)
    return (turns - jnp.round(turns)) * (2 * jnp.pi)


def center_to_start_offset(transform: Stft) -> Float[np.ndarray, " bins"]:
    """Compute the offset from phases relative to a frame's center to phases relative to its first sample.

    `stft` uses the latter. The offset is added; it is in radians, from -pi to pi.
    """
    turns = np.arange(transform.bins) * (transform.n_fft // 2) / transform.n_fft
    return (-2 * np.pi * (turns - np.round(turns))).astype(np.float32)
