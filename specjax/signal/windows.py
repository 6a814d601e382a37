"""Window functions for spectral analysis.

All windows are periodic, as with `fftbins=True` in scipy: the value after the last one would equal the first one.
"""

import numpy as np
from jaxtyping import Float

# Absolute coefficients of the cosines with 0, 1 and 2 periods per window. Their signs are +, -, +.
_COSINES = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46), "blackman": (0.42, 0.5, 0.08), "boxcar": (1.0,)}
_GAUSS_END = 0.01  # value of the Gaussian window at its first sample; it is 1 at the center

WINDOWS = (*_COSINES, "gauss")


def window(name: str, length: int) -> Float[np.ndarray, " length"]:
    """Compute a window of `length` samples, as float32. Its center is sample `length / 2`.

    Args:
      name: one of `WINDOWS`, or any other window of `scipy.signal.get_window` that needs no parameters.

    Raises:
      ValueError: `name` is unknown, or `length` is below 2.
    """
    if length < 2:
        raise ValueError(f"a window of {length} samples is too short: at least 2 are needed")
    if name not in WINDOWS:
        return _get_scipy_window(name, length)
    turns = np.arange(length) / length
    if name == "gauss":
        return np.power(_GAUSS_END, (2 * turns - 1) ** 2).astype(np.float32)
    terms = [(-1) ** k * a * np.cos(2 * np.pi * k * turns) for k, a in enumerate(_COSINES[name])]
    return sum(terms, np.zeros(length)).astype(np.float32)


def _get_scipy_window(name: str, length: int) -> Float[np.ndarray, " length"]:
    from scipy.signal import get_window  # imported here, because importing scipy.signal is slow

    try:
        return get_window(name, length).astype(np.float32)
    except ValueError as error:
        raise ValueError(
            f"window {name!r} is unknown: choose one of {', '.join(WINDOWS)}, or a scipy window without parameters"
        ) from error
