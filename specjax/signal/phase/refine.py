"""What a wave still lacks of given magnitudes, made less by following the slope of the difference."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.signal.stft import Stft, magnitude
from specjax.solve import Report, Solution, minimise


def refine(
    wanted: Float[Array, "*batch bins frames"],
    wave: Float[Array, "*batch samples"],
    transform: Stft,
    *,
    steps: int = 100,
    report: Report | None = None,
) -> Solution:
    """The wave near `wave` whose magnitudes are nearest to those wanted, by L-BFGS.

    The solution's value is the squared spectral convergence: the energy of the difference over that of what is wanted.
    """
    energy = jnp.maximum(jnp.sum(wanted**2), 1e-20)

    def difference(x: Float[Array, "*batch samples"]) -> Float[Array, ""]:
        return jnp.sum((magnitude(x, transform) - wanted) ** 2) / energy

    return minimise(difference, wave, steps=steps, report=report)
