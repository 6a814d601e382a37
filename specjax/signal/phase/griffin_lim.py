"""Griffin and Lim's iteration (1984), and its fast form with momentum (Perraudin, Balazs and Sondergaard 2013)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from specjax.batching import over_examples
from specjax.signal.folded import analyse, fold, synthesise
from specjax.signal.stft import Stft, istft, polar, scaled, unit

Magnitude = Float[Array, "*batch bins frames"]
Phase = Float[Array, "*batch bins frames"]
Wave = Float[Array, "*batch samples"]


class Search(NamedTuple):
    """Where an iteration stands: the wave found, and the one before, from which momentum steps on.

    Spectra need not be kept: they are linear in the wave.
    """

    wave: Wave
    before: Wave


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
    start = begin(istft(polar(magnitude, phase), transform, length))
    return improve(start, magnitude, transform, iterations=iterations, momentum=momentum).wave


def begin(wave: Wave) -> Search:
    """Before the first iteration, which improves on `wave`."""
    return Search(wave, jnp.zeros_like(wave))


def improve(search: Search, magnitude: Magnitude, transform: Stft, *, iterations: int, momentum: float) -> Search:
    """So many iterations further.

    Raises:
      ValueError: the transform has no inverse, or a number is out of range.
    """
    if iterations < 0 or not 0 <= momentum < 1:
        raise ValueError(f"iterations={iterations} must be 0 or more, momentum={momentum} from 0 to below 1")
    share = momentum / (1 + momentum)

    def of_one(search: Search, magnitude: Magnitude) -> Search:
        wanted = fold(magnitude, transform.n_fft)

        def once(_: Int[Array, ""], now: Search) -> Search:
            stepped = analyse(now.wave - share * now.before, transform)
            projected = tuple(scaled(unit(group), level) for group, level in zip(stepped, wanted, strict=True))
            return Search(synthesise(projected, transform, now.wave.shape[-1]), now.wave)

        return jax.lax.fori_loop(0, iterations, once, search)

    batch = magnitude.shape[:-2]
    clips = jax.tree.map(lambda x: x.reshape(-1, *x.shape[len(batch) :]), (search, magnitude))
    found = over_examples(of_one, together=4)(*clips)
    return jax.tree.map(lambda x: x.reshape(*batch, -1), found)


def random_phase(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Phases drawn evenly from a whole turn."""
    return jax.random.uniform(key, shape, maxval=2 * jnp.pi)
