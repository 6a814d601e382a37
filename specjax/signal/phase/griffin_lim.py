"""Griffin-Lim and its accelerated forms.

All of them repeat the same step with different settings, `Variant`. Each has a name in this module:

- `GRIFFIN_LIM`: the original algorithm (Griffin and Lim 1984).
- `FAST`: fast Griffin-Lim, with momentum (Perraudin, Balazs and Sondergaard 2013).
- `ACCELERATED`: accelerated Griffin-Lim (AGLA), with two kinds of momentum and over-relaxation (Nenov, Nguyen, Balazs
  and Bot 2023).
- `SUBSETS`: fast Griffin-Lim with ordered subsets. The even frames correct the wave, then the odd frames. Both together
  cost as much as one step with all frames, but each correction builds on the one before it. This is the idea of ordered
  subsets in tomography (Hudson and Larkin 1994). It converges fast at first, and later stalls: the two subsets never
  agree exactly, and the wave alternates between them. So a few steps with all frames should follow.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from specjax.arrays.arguments import check_arguments
from specjax.arrays.axes import pad_axis
from specjax.arrays.batching import map_batch
from specjax.signal.polar import polar, scaled, unit
from specjax.signal.shapes import Magnitude, Phase, Wave
from specjax.signal.short_time_fourier import Stft, istft
from specjax.signal.split_radix import analyze, group_bins, synthesize

# Lower bound of the divisor of `istft`, as a fraction of its greatest value. If the transform is not centered, the
# outermost samples lie under the edge of one window only, and their divisor is tiny. Without a bound, a spectrum that
# is not the STFT of any wave would be amplified enormously there.
MIN_OVERLAP = 1e-3

# The same bound for a subset of the frames. Samples under the edges of its windows alone are better corrected by the
# other subset, which covers them fully.
_MIN_SUBSET_OVERLAP = 0.2


@dataclass(frozen=True)
class Variant:
    """Settings that distinguish the variants of Griffin-Lim.

    Let w be the current wave, p the wave one step earlier, and P(w) the wave nearest to the spectrum that has the
    phases of w and the target magnitudes. With `change = w - p`, a step computes the new wave

        gamma P(w + alpha change) + (1 - gamma) (w + beta change)

    Attributes:
      alpha: momentum of the wave whose phases are kept, 0 or more. Up to 1 is safe.
      beta: momentum of the wave that `gamma` mixes in, 0 or more. Without effect if `gamma` is 1.
      gamma: relaxation, above 0. Above 1, each step goes beyond P.
      subsets: number of subsets of the frames, 1 or more. With K subsets, an iteration makes K steps. Step k uses frame
        k and every K-th frame after it.

    Raises:
      ValueError: a number is out of range.
    """

    alpha: float = 0.0
    beta: float = 0.0
    gamma: float = 1.0
    subsets: int = 1

    def __post_init__(self) -> None:
        if min(self.alpha, self.beta) < 0 or self.gamma <= 0 or self.subsets < 1:
            raise ValueError(
                f"alpha={self.alpha} and beta={self.beta} must be 0 or more, gamma={self.gamma} above 0, "
                f"subsets={self.subsets} 1 or more"
            )


GRIFFIN_LIM = Variant()
FAST = Variant(alpha=0.99)
ACCELERATED = Variant(alpha=0.99, beta=0.99, gamma=1.25)
SUBSETS = Variant(alpha=0.95, subsets=2)


class GriffinLimState(NamedTuple):
    """State of the Griffin-Lim iteration.

    wave: the current wave.
    previous: the wave one step earlier, needed for momentum; equal to `wave` before the first step.
    """

    # The momentum step is defined on spectra. It is applied to waves instead, because the STFT is linear.
    wave: Wave
    previous: Wave


@check_arguments
@partial(jax.jit, static_argnames=("transform", "iterations", "variant", "length"))
def griffin_lim(
    magnitude: Magnitude,
    transform: Stft,
    phase: Phase,
    *,
    iterations: int = 32,
    variant: Variant = FAST,
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
      variant: `GRIFFIN_LIM`, `FAST` (`alpha` is the `momentum` of `librosa.griffinlim`) or other settings.
      length: length of the wave in samples; by default `transform.samples`.

    Raises:
      ValueError: the transform has no inverse, the number of bins does not match the transform, the length does not
        match the number of frames, or a number is out of range.
    """
    length = transform.samples(magnitude.shape[-1]) if length is None else length
    start = init_state(istft(polar(magnitude, phase), transform, length, min_overlap=MIN_OVERLAP))
    return iterate(start, magnitude, transform, iterations=iterations, variant=variant).wave


def init_state(wave: Wave) -> GriffinLimState:
    """Return the state of Griffin-Lim before its first iteration, to be passed to `iterate`.

    Args:
      wave: the wave to start from, shape `(*batch, samples)`.
    """
    return GriffinLimState(wave, wave)


@partial(jax.jit, static_argnames=("transform", "iterations", "variant"))
def iterate(
    state: GriffinLimState, magnitude: Magnitude, transform: Stft, *, iterations: int, variant: Variant
) -> GriffinLimState:
    """Run more iterations of Griffin-Lim, and return the new state.

    Args:
      state: state from `init_state` or from an earlier call, also with another variant.
      magnitude: target magnitudes, 0 or more, shape `(*batch, bins, frames)`.
      transform: parameters of the short-time Fourier transform.
      iterations: number of iterations.
      variant: settings of each step.

    Raises:
      ValueError: the transform has no inverse, the wave's number of frames does not match `magnitude`, or the number of
        iterations is negative.
    """
    if iterations < 0:
        raise ValueError(f"iterations={iterations} must be 0 or more")
    check_frames(state.wave, magnitude, transform)
    transform.check_invertible()

    def iterate_example(state: GriffinLimState, magnitude: Magnitude) -> GriffinLimState:
        subsets = _split_frames(magnitude, transform, variant.subsets)

        def run(_: Int[Array, ""], state: GriffinLimState) -> GriffinLimState:
            for subset in subsets:
                state = _step(state, subset, transform, variant)
            return state

        return jax.lax.fori_loop(0, iterations, run, state)

    return map_batch(iterate_example, magnitude.shape[:-2], batch_size=4)(state, magnitude)


def check_frames(wave: Wave, magnitude: Magnitude, transform: Stft) -> None:
    """Check that a wave has as many frames as the magnitudes.

    Raises:
      ValueError: it has not.
    """
    samples, frames = wave.shape[-1], magnitude.shape[-1]
    if transform.frames(samples) != frames:
        raise ValueError(
            f"a wave of {samples} samples has {transform.frames(samples)} frames, but the magnitudes have {frames}: "
            "choose a length that matches"
        )


class _Subset(NamedTuple):
    """Frames at equal distances, which are all the frames of a transform without centering.

    Attributes:
      offset: where the first frame begins, in samples of the padded wave.
      transform: parameters of this transform.
      target: target magnitudes of these frames, in the order of `split_radix.analyze`.
    """

    offset: int
    transform: Stft
    target: tuple[Float[Array, "frames _"], ...]


def _split_frames(magnitude: Float[Array, "bins frames"], transform: Stft, count: int) -> list[_Subset]:
    """Split frames into `count` subsets, or fewer: in every subset, adjacent windows overlap by at least one half."""
    window_length = transform.win_length or transform.n_fft
    count = max(min(count, window_length // (2 * transform.hop_length)), 1)
    every = replace(transform, hop_length=count * transform.hop_length, center=False)
    return [
        _Subset(k * transform.hop_length, every, group_bins(magnitude[:, k::count], transform.n_fft))
        for k in range(min(count, magnitude.shape[-1]))
    ]


def _step(state: GriffinLimState, subset: _Subset, transform: Stft, variant: Variant) -> GriffinLimState:
    """Compute one step of the formula in `Variant`, with one subset of the frames."""
    wave, change = state.wave, state.wave - state.previous
    begin = wave + variant.alpha * change
    projected = begin + _correction(begin, subset, transform)
    mixed = variant.gamma * projected + (1 - variant.gamma) * (wave + variant.beta * change)
    return GriffinLimState(mixed, wave)


def _correction(wave: Float[Array, " samples"], subset: _Subset, transform: Stft) -> Float[Array, " samples"]:
    """Compute the inverse STFT of the difference between target and actual spectrum, where both have the same phases.

    Added to the wave, it gives what Griffin and Lim compute, the inverse STFT of the target spectrum. But samples that
    the frames of the subset cover poorly stay as they are.
    """
    padding, samples = transform.padding, wave.shape[-1]
    padded = pad_axis(wave, padding, padding, mode=transform.pad_mode)[subset.offset :]
    spectrum = analyze(padded, subset.transform)
    error = tuple(scaled(unit(group), level) - group for group, level in zip(spectrum, subset.target, strict=True))
    min_overlap = MIN_OVERLAP if subset.transform.hop_length == transform.hop_length else _MIN_SUBSET_OVERLAP
    correction = synthesize(error, subset.transform, padded.shape[-1], min_overlap=min_overlap)
    return pad_axis(correction, subset.offset, 0)[padding : padding + samples]


def random_phase(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Draw random phases in radians, uniform from 0 to 2 pi."""
    return jax.random.uniform(key, shape, maxval=2 * jnp.pi)
