"""Refinement of waves towards given magnitudes, of bins or of mel filters, by L-BFGS."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.optim.minimize import Report, minimize
from specjax.signal.mel import Mel, mel_filters, mel_from_wave
from specjax.signal.shapes import Magnitude, Rows, Wave
from specjax.signal.stft import Stft, magnitude

_LEAST = 1e-10  # of the greatest power: the root of less has a gradient that is too steep to follow


@dataclass(frozen=True)
class _Distance:
    """Energy of the difference between a wave's magnitudes and those wanted, over that of those wanted."""

    transform: Stft

    def __call__(self, wave: Float[Array, " samples"], wanted: Float[Array, "rows frames"]) -> Float[Array, ""]:
        return jnp.sum((magnitude(wave, self.transform) - wanted) ** 2) / jnp.sum(wanted**2)


@dataclass(frozen=True)
class _MelDistance:
    """The same of mel magnitudes, the square roots of the power in the filters."""

    transform: Stft
    mel: Mel
    sample_rate: int

    def __call__(self, wave: Float[Array, " samples"], wanted: Float[Array, "rows frames"]) -> Float[Array, ""]:
        power = mel_from_wave(wave, self.transform, mel_filters(self.mel, self.sample_rate, self.transform.n_fft))
        difference = jnp.sqrt(power + _LEAST) - jnp.sqrt(wanted**2 + _LEAST)
        return jnp.sum(difference**2) / jnp.sum(wanted**2)


def refine(wanted: Magnitude, wave: Wave, transform: Stft, *, steps: int = 100, report: Report | None = None) -> Wave:
    """Waves near those given whose magnitudes are nearest to those wanted: L-BFGS, which the host leads.

    Args:
      wanted: 0 or more.
      report: is told, as (steps done, mean of the clips' squared spectral convergence), how it gets on.

    Raises:
      ValueError: no steps, or magnitudes or waves that are not finite.
    """
    transform.check_bins(wanted)
    return _nearest(_Distance(transform), wanted, wave, steps, report)


def refine_mel(
    wanted: Rows,
    wave: Wave,
    transform: Stft,
    mel: Mel,
    sample_rate: int,
    *,
    steps: int = 100,
    report: Report | None = None,
) -> Wave:
    """As `refine`, for mel magnitudes: the square roots of the power in the filters.

    Magnitudes of bins and phases are found together, instead of one after the other.
    """
    return _nearest(_MelDistance(transform, mel, sample_rate), wanted, wave, steps, report)


def _nearest(distance: _Distance | _MelDistance, wanted: Rows, wave: Wave, steps: int, report: Report | None) -> Wave:
    """Every clip at a level of 1, for the first step of L-BFGS is as long as the gradient; silence is left as it is."""
    clips = int(np.prod(wave.shape[:-1]))
    waves, levels = wave.reshape(clips, wave.shape[-1]), wanted.reshape(clips, *wanted.shape[-2:])
    greatest = jnp.max(levels, axis=(-2, -1), keepdims=True)
    sounds = greatest != 0
    # For silence anything but zeros will do, by whose energy the distance would be divided.
    wanted_at_one = jnp.where(sounds, safe.divide(levels, greatest), 1.0)
    start = jnp.where(sounds[..., 0], safe.divide(waves, greatest[..., 0]), 0.0)
    found = minimize(distance, start, wanted_at_one, steps=steps, report=report).best
    return jnp.where(sounds[..., 0], found * greatest[..., 0], 0.0).reshape(wave.shape)
