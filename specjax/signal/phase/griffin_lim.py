"""Griffin-Lim (Griffin and Lim 1984) and fast Griffin-Lim (Perraudin, Balazs and Sondergaard 2013)."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from specjax.arrays.batching import map_examples
from specjax.signal.polar import polar, scaled, unit
from specjax.signal.shapes import Magnitude, Phase, Wave
from specjax.signal.split_radix import analyze, group_bins, synthesize
from specjax.signal.stft import Stft, istft

# Lower bound of the divisor of `istft`, as a fraction of its greatest value. If the transform is not centered, the
# outermost samples lie under the edge of one window only, and their divisor is tiny. Without a bound, a spectrum that
# is not the STFT of any wave would be amplified enormously there.
MIN_OVERLAP = 1e-3


class GriffinLimState(NamedTuple):
    """State of the Griffin-Lim iteration.

    wave: the current wave.
    previous: the wave one iteration earlier, needed for momentum; zeros before the first iteration.
    """

    # The momentum step is defined on spectra. It is applied to waves instead, because the STFT is linear.
    wave: Wave
    previous: Wave


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
    """Reconstruct waves from STFT magnitudes by Griffin-Lim.

    Each iteration computes the spectrum of the current wave, replaces its magnitudes with `magnitude` but keeps its
    phases, and computes a new wave from this spectrum by the inverse STFT.

    Args:
      magnitude: target magnitudes, 0 or more, shape `(*batch, bins, frames)`.
      transform: parameters of the short-time Fourier transform.
      phase: initial phases in radians, of the same shape as `magnitude`; for example from `random_phase`, or an
        estimate of another method.
      iterations: number of iterations.
      momentum: from 0 to below 1, with the meaning of `momentum` in `librosa.griffinlim`. 0 gives the original
        algorithm (Griffin and Lim 1984). Above 0, each iteration begins from the current wave plus `momentum` times the
        difference between the last two waves.
      length: length of the wave in samples; by default `transform.samples`.

    Raises:
      ValueError: the transform has no inverse, the number of bins does not match the transform, the length does not
        match the number of frames, or a number is out of range.
    """
    length = transform.samples(magnitude.shape[-1]) if length is None else length
    start = init_state(istft(polar(magnitude, phase), transform, length, min_overlap=MIN_OVERLAP))
    return iterate(start, magnitude, transform, iterations=iterations, momentum=momentum).wave


def init_state(wave: Wave) -> GriffinLimState:
    """Return the state of Griffin-Lim before its first iteration, to be passed to `iterate`.

    Args:
      wave: the wave to start from, shape `(*batch, samples)`.
    """
    return GriffinLimState(wave, jnp.zeros_like(wave))


@partial(jax.jit, static_argnames=("transform", "iterations", "momentum"))
def iterate(
    state: GriffinLimState, magnitude: Magnitude, transform: Stft, *, iterations: int, momentum: float
) -> GriffinLimState:
    """Run more iterations of Griffin-Lim, and return the new state.

    Args:
      state: state from `init_state` or from an earlier call.
      magnitude: target magnitudes, 0 or more, shape `(*batch, bins, frames)`.
      transform: parameters of the short-time Fourier transform.
      iterations: number of iterations.
      momentum: strength of the extrapolation, from 0 (none) to below 1.

    Raises:
      ValueError: the transform has no inverse, the wave's number of frames does not match `magnitude`, or a number is
        out of range.
    """
    if iterations < 0 or not 0 <= momentum < 1:
        raise ValueError(f"iterations={iterations} must be 0 or more, momentum={momentum} from 0 to below 1")
    samples, frames = state.wave.shape[-1], magnitude.shape[-1]
    if transform.frames(samples) != frames:
        raise ValueError(
            f"a wave of {samples} samples has {transform.frames(samples)} frames, but the magnitudes have {frames}: "
            "choose a length that matches"
        )
    weight = momentum / (1 + momentum)

    def iterate_example(state: GriffinLimState, magnitude: Magnitude) -> GriffinLimState:
        target = group_bins(magnitude, transform.n_fft)

        def step(_: Int[Array, ""], state: GriffinLimState) -> GriffinLimState:
            extrapolated = analyze(state.wave - weight * state.previous, transform)
            projected = tuple(scaled(unit(group), level) for group, level in zip(extrapolated, target, strict=True))
            wave = synthesize(projected, transform, state.wave.shape[-1], min_overlap=MIN_OVERLAP)
            return GriffinLimState(wave, state.wave)

        return jax.lax.fori_loop(0, iterations, step, state)

    batch = magnitude.shape[:-2]
    examples = int(np.prod(batch))
    flat = jax.tree.map(lambda x: x.reshape(examples, *x.shape[len(batch) :]), (state, magnitude))
    result = map_examples(iterate_example, batch_size=4)(*flat)
    return jax.tree.map(lambda x: x.reshape(*batch, x.shape[-1]), result)


def random_phase(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Draw random phases in radians, uniform from 0 to 2 pi."""
    return jax.random.uniform(key, shape, maxval=2 * jnp.pi)
