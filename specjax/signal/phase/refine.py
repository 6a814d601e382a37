"""What waves still lack of given magnitudes, made less by following the slope of the difference."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.signal.mel import Mel, mel_filters, mel_of_wave
from specjax.signal.stft import Stft, magnitude
from specjax.solve import Report, minimise

Wave = Float[Array, "*batch samples"]
Rows = Float[Array, "*batch rows frames"]

_LEAST = 1e-10  # of the greatest power: what a root is kept from, for it has no slope at 0


@dataclass(frozen=True)
class _Apart:
    """Squared spectral convergence of one wave: energy of the difference of magnitudes over that of those wanted."""

    transform: Stft

    def __call__(self, wave: Float[Array, " samples"], wanted: Float[Array, "rows frames"]) -> Float[Array, ""]:
        return jnp.sum((magnitude(wave, self.transform) - wanted) ** 2) / jnp.maximum(jnp.sum(wanted**2), 1e-20)


@dataclass(frozen=True)
class _MelApart:
    """The same of mel magnitudes, the square roots of the power in the filters."""

    transform: Stft
    mel: Mel
    sample_rate: int

    def __call__(self, wave: Float[Array, " samples"], wanted: Float[Array, "rows frames"]) -> Float[Array, ""]:
        power = mel_of_wave(wave, self.transform, mel_filters(self.mel, self.sample_rate, self.transform.n_fft))
        least = _LEAST * jnp.maximum(jnp.max(wanted) ** 2, 1e-20)
        apart = jnp.sqrt(power + least) - jnp.sqrt(wanted**2 + least)
        return jnp.sum(apart**2) / jnp.maximum(jnp.sum(wanted**2), 1e-20)


def refine(wanted: Rows, wave: Wave, transform: Stft, *, steps: int = 100, report: Report | None = None) -> Wave:
    """Waves near those given whose magnitudes are nearest to those wanted, by L-BFGS.

    Args:
      wanted: magnitudes, 0 or more.
      report: is told, as (steps done, mean of the clips' squared spectral convergence), how it gets on.

    Raises:
      ValueError: no steps, or magnitudes or waves that are not finite.
    """
    return _nearest(_Apart(transform), wanted, wave, steps, report)


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
    return _nearest(_MelApart(transform, mel, sample_rate), wanted, wave, steps, report)


def _nearest(apart: _Apart | _MelApart, wanted: Rows, wave: Wave, steps: int, report: Report | None) -> Wave:
    waves, levels = wave.reshape(-1, wave.shape[-1]), wanted.reshape(-1, *wanted.shape[-2:])
    found = minimise(apart, waves, levels, steps=steps, report=report)
    return found.best.reshape(wave.shape)
