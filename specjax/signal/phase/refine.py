"""Refinement of waves by L-BFGS, which brings their magnitude or mel spectrograms closer to given ones."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.optim.minimization import StepCallback, minimize
from specjax.signal.mel import Mel, mel_filters, mel_from_wave
from specjax.signal.shapes import Magnitude, Rows, Wave
from specjax.signal.short_time_fourier import Stft, magnitude

# Added to mel power before its square root; the greatest mel power of the target is 1. Without it, the gradient of the
# square root near 0 would be too steep for L-BFGS.
_POWER_FLOOR = 1e-10


@dataclass(frozen=True)
class _Distance:
    """Loss function, called as `distance(wave, target)`, that compares the STFT magnitudes of a wave with a target.

    The loss is the squared spectral convergence: `sum((magnitude(wave) - target)^2) / sum(target^2)`.

    Attributes:
      transform: parameters of the short-time Fourier transform.
    """

    transform: Stft

    def __call__(self, wave: Float[Array, " samples"], target: Float[Array, "rows frames"]) -> Float[Array, ""]:
        return jnp.sum((magnitude(wave, self.transform) - target) ** 2) / jnp.sum(target**2)


@dataclass(frozen=True)
class _MelDistance:
    """Loss function, called as `distance(wave, target)`, that compares the mel magnitudes of a wave with a target.

    Mel magnitudes are the square roots of the power in the mel filters. The loss is the squared spectral convergence:
    `sum((mel magnitudes - target)^2) / sum(target^2)`. In the numerator, 1e-10 is added to the power of the wave and of
    the target before the square root is taken.

    Attributes:
      transform: parameters of the short-time Fourier transform.
      mel: parameters of the mel filters.
      sample_rate: in Hz.
    """

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
    """Refine waves by L-BFGS to bring their STFT magnitudes closer to `target`.

    The optimization loop runs in Python and cannot be traced by `jax.jit` or `jax.grad`.

    Args:
      target: target magnitudes, 0 or more, shape `(*batch, bins, frames)`.
      wave: the waves to start from, shape `(*batch, samples)`.
      transform: parameters of the short-time Fourier transform that `target` belongs to.
      steps: number of L-BFGS steps.
      report: progress callback, called as `report(steps_done, mean_loss)`. `mean_loss` is the lowest loss of each clip
        so far, averaged over clips. The loss is the squared spectral convergence
        `sum((magnitudes - target)^2) / sum(target^2)`.

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
    """Refine waves by L-BFGS to bring their mel magnitudes closer to `target`.

    Mel magnitudes are the square roots of the power in the mel filters. The optimization loop runs in Python and cannot
    be traced by `jax.jit` or `jax.grad`.

    Args:
      target: target mel magnitudes, 0 or more, shape `(*batch, n_mels, frames)`.
      wave: the waves to start from, shape `(*batch, samples)`.
      transform: parameters of the short-time Fourier transform.
      mel: parameters of the mel filters.
      sample_rate: in Hz.
      steps: number of L-BFGS steps.
      report: progress callback, called as `report(steps_done, mean_loss)`. `mean_loss` is the lowest loss of each clip
        so far, averaged over clips. The loss is the squared spectral convergence
        `sum((mel magnitudes - target)^2) / sum(target^2)`.

    Raises:
      ValueError: `steps` is below 1, or magnitudes or waves are not finite.
    """
    return _minimize_distance(_MelDistance(transform, mel, sample_rate), target, wave, steps, report)


def _minimize_distance(
    distance: _Distance | _MelDistance, target: Rows, wave: Wave, steps: int, report: StepCallback | None
) -> Wave:
    """Minimize the loss of each clip by L-BFGS, starting from `wave`; silent clips become zeros.

    Args:
      distance: loss of one clip, called as `distance(wave, target)`.
      target: target magnitudes or mel magnitudes.
      wave: the waves to start from.
      steps: number of L-BFGS steps.
      report: called as `report(steps done, mean of the losses)`.
    """
    # Every clip is scaled to a greatest target magnitude of 1, because the first step of L-BFGS is as long as the
    # gradient, which depends on the scale.
    clips = int(np.prod(wave.shape[:-1]))
    waves, targets = wave.reshape(clips, wave.shape[-1]), target.reshape(clips, *target.shape[-2:])
    peak = jnp.max(targets, axis=(-2, -1), keepdims=True)
    audible = peak != 0
    # The distance divides by the target's energy. Silent targets are replaced by ones; any nonzero value would do.
    normalized = jnp.where(audible, safe.divide(targets, peak), 1.0)
    start = jnp.where(audible[..., 0], safe.divide(waves, peak[..., 0]), 0.0)
    result = minimize(distance, start, normalized, steps=steps, report=report).best
    return jnp.where(audible[..., 0], result * peak[..., 0], 0.0).reshape(wave.shape)
