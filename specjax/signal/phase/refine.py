"""What a wave still lacks of given magnitudes, made less by following the slope of the difference."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.signal.mel import mel_of_wave
from specjax.signal.stft import Stft, magnitude
from specjax.solve import Report, Solution, minimise

Wave = Float[Array, "*batch samples"]
Rows = Float[Array, "*batch rows frames"]


def refine(wanted: Rows, wave: Wave, transform: Stft, *, steps: int = 100, report: Report | None = None) -> Solution:
    """The wave near `wave` whose magnitudes are nearest to those wanted, by L-BFGS.

    The solution's value is the squared spectral convergence: the energy of the difference over that of what is wanted.
    """
    return _refined(wanted, wave, lambda x: magnitude(x, transform), steps, report)


def refine_mel(
    wanted: Rows,
    wave: Wave,
    transform: Stft,
    filters: Float[np.ndarray, "n_mels bins"],
    *,
    steps: int = 100,
    report: Report | None = None,
) -> Solution:
    """The wave near `wave` whose mel magnitudes, square roots of the power in the filters, are nearest to those wanted.

    Magnitudes of bins and phases are found together, instead of one after the other.
    """
    least = 1e-10 * jnp.maximum(jnp.max(wanted) ** 2, 1e-20)  # a root has no slope at 0
    floored = jnp.sqrt(wanted**2 + least)
    return _refined(floored, wave, lambda x: jnp.sqrt(mel_of_wave(x, transform, filters) + least), steps, report)


def _refined(wanted: Rows, wave: Wave, seen: Callable[[Wave], Rows], steps: int, report: Report | None) -> Solution:
    energy = jnp.maximum(jnp.sum(wanted**2), 1e-20)

    def difference(x: Wave) -> Float[Array, ""]:
        return jnp.sum((seen(x) - wanted) ** 2) / energy

    return minimise(difference, wave, steps=steps, report=report)
