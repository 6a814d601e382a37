"""Phase angles in radians: wrapping, and conversion from the center of a frame to its start."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.signal.short_time_fourier import Stft


def wrap(phase: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Wrap phases in radians to the range from -pi to pi, where float32 is most precise."""
    turns = phase / (2 * jnp.pi)
    return (turns - jnp.round(turns)) * (2 * jnp.pi)


def center_to_start_offset(transform: Stft) -> Float[np.ndarray, " bins"]:
    """Compute the offset of each bin that moves the phase reference from a frame's center to its first sample.

    Add the offsets to phases that are relative to the center. The result is relative to the first sample, as in `stft`.
    The offsets are in radians, from -pi to pi.
    """
    turns = np.arange(transform.bins) * (transform.n_fft // 2) / transform.n_fft
    return (-2 * np.pi * (turns - np.round(turns))).astype(np.float32)
