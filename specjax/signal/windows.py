"""Analysis windows. They are periodic: one more sample would begin the next period."""

import numpy as np
from jaxtyping import Float

# Coefficients of cosines that make 0, 1 and 2 turns over the window; their signs alternate.
_COSINES = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46), "blackman": (0.42, 0.5, 0.08), "boxcar": (1.0,)}
_GAUSS_END = 0.01  # value at which the Gaussian window is truncated

WINDOWS = (*_COSINES, "gauss")


def window(name: str, length: int) -> Float[np.ndarray, " length"]:
    """Window of `length` samples, float32, centered on sample `length / 2`.

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
    from scipy.signal import get_window  # imported here because it takes longer to import than all the rest

    try:
        return get_window(name, length).astype(np.float32)
    except ValueError as error:
        raise ValueError(
            f"window {name!r} is unknown: choose one of {', '.join(WINDOWS)}, or a scipy window without parameters"
        ) from error
