"""Griffin and Lim's iteration (1984), and its fast form with momentum (Perraudin, Balazs and Sondergaard 2013)."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from specjax.arrays.batching import map_examples
from specjax.signal.folded import analyse, fold, synthesise
from specjax.signal.polar import polar, scaled, unit
from specjax.signal.shapes import Magnitude, Phase, Wave
from specjax.signal.stft import Stft, istft

# At the ends of a transform that is not centred, what is no wave's spectrum yet would be blown up by a window's foot.
LEAST_OVERLAP = 1e-3


class Search(NamedTuple):
    """Where an iteration stands: the wave found, and the one before, from which momentum steps on.

    Spectra need not be kept: they are linear in the wave.
    """

    wave: Wave
    before: Wave


@partial(jax.jit, static_argnames=("transform", "iterations", "momentum", "length"))
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
      magnitude: 0 or more; magnitudes below 1e-10 are taken for silence.
      phase: where it begins, in radians; see `random_phase` and the other modules of this folder.
      momentum: 0 is the iteration of 1984; from 0 to 1 it steps on from the last change, as librosa counts it.
      length: of the wave, in samples; by default `transform.samples`.

    Raises:
      ValueError: the transform has no inverse or another number of bins, the length another number of frames, or a
        number is out of range.
    """
    length = transform.samples(magnitude.shape[-1]) if length is None else length
    start = begin(istft(polar(magnitude, phase), transform, length, least=LEAST_OVERLAP))
    return improve(start, magnitude, transform, iterations=iterations, momentum=momentum).wave


def begin(wave: Wave) -> Search:
    """Before the first iteration, which improves on `wave`."""
    return Search(wave, jnp.zeros_like(wave))


@partial(jax.jit, static_argnames=("transform", "iterations", "momentum"))
def improve(search: Search, magnitude: Magnitude, transform: Stft, *, iterations: int, momentum: float) -> Search:
    """So many iterations further.

    Raises:
      ValueError: the transform has no inverse, the wave another number of frames, or a number is out of range.
    """
    if iterations < 0 or not 0 <= momentum < 1:
        raise ValueError(f"iterations={iterations} must be 0 or more, momentum={momentum} from 0 to below 1")
    samples, frames = search.wave.shape[-1], magnitude.shape[-1]
    if transform.frames(samples) != frames:
        raise ValueError(f"a wave of {samples} samples has {transform.frames(samples)} frames, not {frames}")
    share = momentum / (1 + momentum)

    def of_one(search: Search, magnitude: Magnitude) -> Search:
        wanted = fold(magnitude, transform.n_fft)

        def once(_: Int[Array, ""], now: Search) -> Search:
            stepped = analyse(now.wave - share * now.before, transform)
            projected = tuple(scaled(unit(group), level) for group, level in zip(stepped, wanted, strict=True))
            wave = synthesise(projected, transform, now.wave.shape[-1], least=LEAST_OVERLAP)
            return Search(wave, now.wave)

        return jax.lax.fori_loop(0, iterations, once, search)

    batch = magnitude.shape[:-2]
    examples = int(np.prod(batch))
    clips = jax.tree.map(lambda x: x.reshape(examples, *x.shape[len(batch) :]), (search, magnitude))
    found = map_examples(of_one, together=4)(*clips)
    return jax.tree.map(lambda x: x.reshape(*batch, x.shape[-1]), found)


def random_phase(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Phases drawn evenly from a whole turn."""
    return jax.random.uniform(key, shape, maxval=2 * jnp.pi)
