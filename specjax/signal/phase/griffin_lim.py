"""Griffin and Lim's iteration (1984), and its fast form with momentum (Perraudin, Balazs and Sondergaard 2013)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int, Key

from specjax.signal.stft import Stft, analyse, polar, scaled, synthesise, unit

Magnitude = Float[Array, "*batch bins frames"]
Phase = Float[Array, "*batch bins frames"]
Wave = Float[Array, "*batch samples"]


class Search(NamedTuple):
    """Where an iteration stands: the magnitudes wanted with the phases so far, and what came back of the last wave."""

    spectrum: Complex[Array, "*batch frames bins"]
    rebuilt: Complex[Array, "*batch frames bins"]


def griffin_lim(
    magnitude: Magnitude,
    transform: Stft,
    phase: Phase,
    *,
    iterations: int = 32,
    momentum: float = 0.99,
    length: int | None = None,
) -> Wave:
    """Wave whose magnitudes come near to those given: to a wave and back, again and again, keeping only phases.

    Args:
      magnitude: 0 or more.
      phase: where it begins, in radians; see `random_phase` and the other modules of this folder.
      momentum: 0 is the iteration of 1984; from 0 to 1 it steps on from the last change, as librosa counts it.
      length: of the wave, in samples; by default `transform.samples`.

    Raises:
      ValueError: the transform has no inverse, or a number is out of range.
    """
    length = transform.samples(magnitude.shape[-1]) if length is None else length
    search = improve(
        begin(magnitude, phase), magnitude, transform, iterations=iterations, momentum=momentum, length=length
    )
    return synthesise(search.spectrum, transform, length)


def begin(magnitude: Magnitude, phase: Phase) -> Search:
    """Before the first iteration."""
    spectrum = polar(jnp.swapaxes(magnitude, -1, -2), jnp.swapaxes(phase, -1, -2))
    return Search(spectrum, jnp.zeros_like(spectrum))


def improve(
    search: Search, magnitude: Magnitude, transform: Stft, *, iterations: int, momentum: float, length: int
) -> Search:
    """So many iterations further.

    Raises:
      ValueError: the transform has no inverse, or a number is out of range.
    """
    if iterations < 0 or not 0 <= momentum < 1:
        raise ValueError(f"iterations={iterations} must be 0 or more, momentum={momentum} from 0 to below 1")
    wanted = jnp.swapaxes(magnitude, -1, -2)
    share = momentum / (1 + momentum)

    def once(_: Int[Array, ""], now: Search) -> Search:
        rebuilt = analyse(synthesise(now.spectrum, transform, length), transform)
        return Search(scaled(unit(rebuilt - share * now.rebuilt), wanted), rebuilt)

    return jax.lax.fori_loop(0, iterations, once, search)


def random_phase(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Phases drawn evenly from a whole turn."""
    return jax.random.uniform(key, shape, maxval=2 * jnp.pi)
