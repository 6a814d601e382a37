"""Phase angles in radians: wrapping, and conversion from the center of a frame to its start."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.signal.stft import Stft


def wrap(phase: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Wrap phases in radians to the range from -pi to pi, where float32 is most precise."""
    turns = phase / (2 * jnp.pi)
    return (turns - jnp.round(turns)) * (2 * jnp.pi)


def center_to_start_offset(transform: Stft) -> Float[np.ndarray, " bins"]:
    """Compute the offsets that convert phases relative to a frame's center to phases relative to its first sample.

    The offsets are to be added to the phases. There is one per bin, in radians, from -pi to pi. Spectra of `stft` have
    phases relative to the first sample.
    """
    turns = np.arange(transform.bins) * (transform.n_fft // 2) / transform.n_fft
    return (-2 * np.pi * (turns - np.round(turns))).astype(np.float32)
