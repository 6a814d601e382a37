"""Phase reconstruction by the alternating direction method of multipliers, ADMM (Masuyama, Yatabe and Oikawa 2019)."""

from functools import partial
from typing import NamedTuple

import jax
from jaxtyping import Array, Int

from specjax.arrays.batching import map_batch
from specjax.signal.phase.griffin_lim import MIN_OVERLAP, check_frames
from specjax.signal.polar import scaled, unit
from specjax.signal.shapes import Magnitude, Wave
from specjax.signal.short_time_fourier import Stft
from specjax.signal.split_radix import Groups, analyze, group_bins, synthesize


class AdmmState(NamedTuple):
    """State of the ADMM iteration.

    wave: the current wave, which is the inverse STFT of `spectrum`.
    spectrum: sum of the spectrum that has the target magnitudes and the scaled dual variable, in the format of
      `split_radix.analyze`.
    """

    wave: Wave
    spectrum: Groups


@partial(jax.jit, static_argnames="transform")
def init_state(wave: Wave, transform: Stft) -> AdmmState:
    """Return the state of ADMM before its first iteration, to be passed to `iterate`.

    Args:
      wave: the wave to start from, shape `(*batch, samples)`.
      transform: parameters of the short-time Fourier transform.
    """
    init_example = map_batch(partial(analyze, transform=transform), wave.shape[:-1], batch_size=4)
    return AdmmState(wave, init_example(wave))


@partial(jax.jit, static_argnames=("transform", "iterations", "rho"))
def iterate(state: AdmmState, magnitude: Magnitude, transform: Stft, *, iterations: int, rho: float = 0.3) -> AdmmState:
    """Run more iterations of ADMM, and return the new state.

    ADMM splits the problem into two conditions on a spectrum: it has the target magnitudes, and it is the STFT of a
    wave. The second condition counts by the distance from it, as Griffin-Lim minimizes it.

    Args:
      state: state from `init_state` or from an earlier call.
      magnitude: target magnitudes, 0 or more, shape `(*batch, bins, frames)`.
      transform: parameters of the short-time Fourier transform.
      iterations: number of iterations.
      rho: penalty, 0 or more. 0 gives the difference map of hybrid input-output, which does not settle. Values much
        greater than 1 slow the iteration down.

    Raises:
      ValueError: the transform has no inverse, the wave's number of frames does not match `magnitude`, or a number is
        out of range.
    """
    if iterations < 0 or rho < 0:
        raise ValueError(f"iterations={iterations} and rho={rho} must be 0 or more")
    check_frames(state.wave, magnitude, transform)

    def iterate_example(state: AdmmState, magnitude: Magnitude) -> AdmmState:
        target, samples = group_bins(magnitude, transform.n_fft), state.wave.shape[-1]

        def step(_: Int[Array, ""], state: AdmmState) -> AdmmState:
            consistent = analyze(state.wave, transform)
            spectrum = []
            for y, c, level in zip(state.spectrum, consistent, target, strict=True):
                z = (rho * y + c) / (1 + rho)
                spectrum.append(y + scaled(unit(2 * z - y), level) - z)
            wave = synthesize(tuple(spectrum), transform, samples, min_overlap=MIN_OVERLAP)
            return AdmmState(wave, tuple(spectrum))

        return jax.lax.fori_loop(0, iterations, step, state)

    return map_batch(iterate_example, magnitude.shape[:-2], batch_size=4)(state, magnitude)
