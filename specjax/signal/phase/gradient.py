"""How the phase of a spectrum changes from place to place, estimated from its magnitudes alone.

For a Gaussian window `exp(-pi t^2 / gamma)` the logarithm of a spectrum is an analytic function, so that the slopes of
its phase are those of its log-magnitude, crosswise (Prusa, Balazs and Sondergaard 2017, section III). Other windows are
taken for the Gaussian nearest to them. Phases are relative to the centres of frames.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays.axes import along_axis, pad_axis
from specjax.signal.shapes import Bins
from specjax.signal.stft import Stft

# gamma of a window of length L is this times L^2.
_GAMMA = {"hann": 0.25645, "hamming": 0.29794, "blackman": 0.17954, "gauss": 0.17054704}


def gamma(transform: Stft) -> float:
    """Of the Gaussian nearest to the transform's window, in samples squared.

    Raises:
      ValueError: no Gaussian is near to the window.
    """
    if transform.window not in _GAMMA:
        raise ValueError(
            f"phases of a {transform.window} window cannot be estimated from its magnitudes: "
            f"choose one of {', '.join(_GAMMA)}"
        )
    return _GAMMA[transform.window] * (transform.win_length or transform.n_fft) ** 2


def log_magnitude(magnitude: Float[Array, "*shape"], greatest: Float[Array, "..."]) -> Float[Array, "*shape"]:
    """Natural logarithm of at least 1e-10 of the greatest magnitude, an array of as many axes; silence is level."""
    return jnp.log(jnp.maximum(magnitude, jnp.maximum(1e-10 * greatest, 1e-30)))


def per_frame(log: Bins, transform: Stft) -> Bins:
    """Radians that the phase of each bin turns in one hop, less whole turns of the hop: their equation 10."""
    wider = pad_axis(log, 1, 1, mode="edge")
    slope = (wider[..., 2:] - wider[..., :-2]) / 2
    turns = np.arange(transform.bins) * transform.hop_length / transform.n_fft
    own = (2 * np.pi * (turns - np.round(turns))).astype(np.float32)
    return slope * (transform.hop_length * transform.n_fft / gamma(transform)) + along_axis(own, log.ndim, -1)


def per_bin(before: Bins, after: Bins, transform: Stft) -> Bins:
    """Radians that the phase turns from one bin to the next, by the frames before and after: their equation 11."""
    return -gamma(transform) / (transform.hop_length * transform.n_fft) * (after - before) / 2
