"""Refinement of waves by L-BFGS, so that their magnitude or mel spectrograms approach given ones."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.optim.minimize import StepCallback, minimize
from specjax.signal.mel import Mel, mel_filters, mel_from_wave
from specjax.signal.shapes import Magnitude, Rows, Wave
from specjax.signal.stft import Stft, magnitude

# Added to power before the square root, relative to the greatest power. Below it the gradient of the root is too steep
# for L-BFGS to follow.
_POWER_FLOOR = 1e-10


@dataclass(frozen=True)
class _Distance:
    """Squared spectral convergence: energy of the magnitude difference, relative to the energy of the target."""

    transform: Stft

    def __call__(self, wave: Float[Array, " samples"], target: Float[Array, "rows frames"]) -> Float[Array, ""]:
        return jnp.sum((magnitude(wave, self.transform) - target) ** 2) / jnp.sum(target**2)


@dataclass(frozen=True)
class _MelDistance:
    """Squared spectral convergence of mel magnitudes, the square roots of the power in the mel filters."""

    transform: Stft
    mel: Mel
    sample_rate: int

    def __call__(self, wave: Float[Array, " samples"], target: Float[Array, "rows frames"]) -> Float[Array, ""]:
        power = mel_from_wave(wave, self.transform, mel_filters(self.mel, self.sample_rate, self.transform.n_fft))
        difference = jnp.sqrt(power + _POWER_FLOOR) - jnp.sqrt(target**2 + _POWER_FLOOR)
        return jnp.sum(difference**2) / jnp.sum(target**2)


def refine(
    target: Magnitude, wave: Wave, transform: Stft, *, steps: int = 100, report: StepCallback | None = None
) -> Wave:
    """Refine waves so that their magnitudes approach `target`, by L-BFGS.

    The optimization loop runs in Python and cannot be traced by `jax.jit` or `jax.grad`.

    Args:
      target: target magnitudes, 0 or more.
      wave: the waves to start from.
      report: called as `report(steps done, mean of the clips' squared spectral convergence)`.

    Raises:
      ValueError: `steps` is below 1, the number of bins does not match the transform, or magnitudes or waves are not
        finite.
    """
    transform.check_bins(target)
    return _minimize_distance(_Distance(transform), target, wave, steps, report)


def refine_mel(
    target: Rows,
    wave: Wave,
    transform: Stft,
    mel: Mel,
    sample_rate: int,
    *,
    steps: int = 100,
    report: StepCallback | None = None,
) -> Wave:
    """Refine waves as `refine` does, towards mel magnitudes: the square roots of the power in the mel filters.

    Magnitudes of bins and phases are found jointly, instead of one after the other.
    """
    return _minimize_distance(_MelDistance(transform, mel, sample_rate), target, wave, steps, report)


def _minimize_distance(
    distance: _Distance | _MelDistance, target: Rows, wave: Wave, steps: int, report: StepCallback | None
) -> Wave:
    """Minimize the distance of each clip, starting from `wave`; silent clips become zeros.

    Every clip is normalized to a greatest magnitude of 1, because the first step of L-BFGS is as long as the gradient.
    """
    clips = int(np.prod(wave.shape[:-1]))
    waves, targets = wave.reshape(clips, wave.shape[-1]), target.reshape(clips, *target.shape[-2:])
    peak = jnp.max(targets, axis=(-2, -1), keepdims=True)
    audible = peak != 0
    # The distance divides by the target's energy. Silent targets are replaced by ones; any nonzero value would do.
    normalized = jnp.where(audible, safe.divide(targets, peak), 1.0)
    start = jnp.where(audible[..., 0], safe.divide(waves, peak[..., 0]), 0.0)
    result = minimize(distance, start, normalized, steps=steps, report=report).best
    return jnp.where(audible[..., 0], result * peak[..., 0], 0.0).reshape(wave.shape)
