"""Windows of spectral analysis: periodic, as if one more sample would begin the next period."""

import numpy as np
from jaxtyping import Float

# Coefficients of cosines of 0, 1, 2 turns over the window, signs alternating.
_COSINES = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46), "blackman": (0.42, 0.5, 0.08), "boxcar": (1.0,)}
_GAUSS_END = 0.01  # a Gauss window is cut where it has fallen to this

WINDOWS = (*_COSINES, "gauss")


def window(name: str, length: int) -> Float[np.ndarray, " length"]:
    """Window of `length` samples, float32, centred on sample `length / 2`.

    Args:
      name: one of `WINDOWS`, or any other that `scipy.signal.get_window` knows by its name alone.

    Raises:
      ValueError: an unknown name, or a length below 2.
    """
    if length < 2:
        raise ValueError(f"a window of {length} samples: at least 2 are needed")
    if name not in WINDOWS:
        return _scipys(name, length)
    turns = np.arange(length) / length
    if name == "gauss":
        return np.power(_GAUSS_END, (2 * turns - 1) ** 2).astype(np.float32)
    terms = [(-1) ** k * a * np.cos(2 * np.pi * k * turns) for k, a in enumerate(_COSINES[name])]
    return sum(terms, np.zeros(length)).astype(np.float32)


def _scipys(name: str, length: int) -> Float[np.ndarray, " length"]:
    from scipy.signal import get_window  # takes longer to import than all the rest

    try:
        return get_window(name, length).astype(np.float32)
    except ValueError as error:
        raise ValueError(f"window {name!r} is unknown: choose one of {', '.join(WINDOWS)}, or of scipy's") from error
