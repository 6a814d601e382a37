"""Estimation of phase derivatives along time and frequency from magnitudes alone.

For a Gaussian window `exp(-pi t^2 / gamma)`, the logarithm of the spectrum is an analytic function. Therefore the
derivative of the phase along time follows from the derivative of the log-magnitude along frequency, and the derivative
of the phase along frequency follows from that of the log-magnitude along time (Prusa, Balazs and Sondergaard 2017,
section III). Any other window is approximated by the nearest Gaussian.

Phases in this module are relative to the centers of frames.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays.axes import along_axis, pad_axis
from specjax.signal.shapes import Bins
from specjax.signal.short_time_fourier import Stft

# The Gaussian nearest to a window of L samples has gamma = factor * L^2.
_GAMMA_FACTORS = {"hann": 0.25645, "hamming": 0.29794, "blackman": 0.17954, "gauss": 0.17054704}


def gamma(transform: Stft) -> float:
    """Return gamma of the Gaussian `exp(-pi t^2 / gamma)` nearest to the transform's window, in samples squared.

    Raises:
      ValueError: the window has no known Gaussian approximation.
    """
    if transform.window not in _GAMMA_FACTORS:
        raise ValueError(
            f"phases of a {transform.window} window cannot be estimated from magnitudes: "
            f"choose one of {', '.join(_GAMMA_FACTORS)}"
        )
    return _GAMMA_FACTORS[transform.window] * (transform.win_length or transform.n_fft) ** 2


def compute_log_magnitude(magnitude: Float[Array, "*shape"], peak: Float[Array, "..."]) -> Float[Array, "*shape"]:
    """Compute the natural logarithm of magnitudes, clipped from below at `max(1e-10 * peak, 1e-30)`.

    The limit of 1e-30 keeps the logarithm of silence finite.

    Args:
      magnitude: magnitudes, 0 or more.
      peak: reference magnitude, which broadcasts against `magnitude` and has as many axes.
    """
    return jnp.log(jnp.maximum(magnitude, jnp.maximum(1e-10 * peak, 1e-30)))


def phase_step_per_frame(log_magnitude: Bins, transform: Stft) -> Bins:
    """Estimate the phase advance of each bin from one frame to the next (Prusa et al. 2017, equation 10).

    The phases of a frame have its center as time origin. The estimate is in radians, and is correct up to a multiple of
    2 pi.

    Args:
      log_magnitude: natural logarithm of the magnitudes of a frame, with bins on the last axis.
      transform: parameters of the short-time Fourier transform.
    """
    padded = pad_axis(log_magnitude, 1, 1, mode="edge")
    slope = (padded[..., 2:] - padded[..., :-2]) / 2
    turns = np.arange(transform.bins) * transform.hop_length / transform.n_fft
    center_advance = (2 * np.pi * (turns - np.round(turns))).astype(np.float32)
    return slope * (transform.hop_length * transform.n_fft / gamma(transform)) + along_axis(
        center_advance, log_magnitude.ndim, -1
    )


def phase_step_per_bin(previous: Bins, following: Bins, transform: Stft) -> Bins:
    """Estimate the phase difference from each bin of a frame to the next bin (Prusa et al. 2017, equation 11).

    Args:
      previous, following: natural logarithms of the magnitudes of the frames before and after this frame.
      transform: parameters of the short-time Fourier transform.

    Returns:
      Phase differences in radians per bin, one for each bin.
    """
    return -gamma(transform) / (transform.hop_length * transform.n_fft) * (following - previous) / 2
