"""From magnitudes back to a wave: every method under one name, begun by any other."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.signal import stft
from specjax.signal.mel import mel_filters
from specjax.signal.phase import griffin_lim as gl
from specjax.signal.phase.pghi import pghi
from specjax.signal.phase.refine import refine, refine_mel
from specjax.signal.phase.rtisi import rtisi_la
from specjax.signal.phase.rtpghi import rtpghi
from specjax.signal.phase.spsi import spsi
from specjax.signal.presets import Spectrogram, magnitudes
from specjax.signal.stft import Stft, istft, polar
from specjax.signal.unmel import mel_to_power
from specjax.solve import Report

Magnitude = Float[Array, "*batch bins frames"]
Phase = Float[Array, "*batch bins frames"]
Wave = Float[Array, "*batch samples"]

DIRECT: dict[str, Callable[[Magnitude, Stft], Phase]] = {
    "spsi": spsi,
    "pghi": pghi,
    "rtpghi": rtpghi,
    "rtisi_la": rtisi_la,
}
ITERATIVE = ("griffin_lim", "fast_griffin_lim", "refine")
METHODS = (*ITERATIVE, *DIRECT)
STARTS = ("random", "zero", *DIRECT)
_MOMENTUM = {"griffin_lim": 0.0, "fast_griffin_lim": 0.99}
_CHUNK = 8


@dataclass(frozen=True)
class Inversion:
    """How a wave is found.

    Attributes:
      method: one of `METHODS`. `griffin_lim`, `fast_griffin_lim` and `refine` (L-BFGS) improve on phases in so many
        iterations; the others find them in one go.
      start: what an iterative method begins with: one of `STARTS`, and after it any iterative methods, each of which
        begins with what the one before it has found.
      iterations: of each iterative method.
      mel_steps: L-BFGS steps at the end that bring the wave's own mel spectrogram to the one given.
      seed: of the start `random`.
    """

    method: str = "fast_griffin_lim"
    start: tuple[str, ...] = ("pghi",)
    iterations: int = 32
    mel_steps: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method={self.method!r} is unknown: choose one of {', '.join(METHODS)}")
        if not self.start or self.start[0] not in STARTS:
            raise ValueError(f"start={self.start!r} is unknown: begin with one of {', '.join(STARTS)}")
        if other := [name for name in self.start[1:] if name not in ITERATIVE]:
            raise ValueError(f"start={self.start!r}: {other[0]!r} cannot follow, only {', '.join(ITERATIVE)} can")
        if self.iterations < 1 or self.mel_steps < 0:
            raise ValueError(
                f"iterations={self.iterations} must be above 0 and mel_steps={self.mel_steps} not negative"
            )


def invert(
    magnitude: Magnitude,
    transform: Stft,
    how: Inversion = Inversion(),
    *,
    length: int | None = None,
    report: Report | None = None,
) -> Wave:
    """A wave whose magnitudes come near to those given; many at once, where there are axes before.

    Args:
      length: of the wave, in samples; by default `transform.samples`.
      report: is told, as (iterations done, spectral convergence in dB), how an iterative method gets on.

    Raises:
      ValueError: the transform has no inverse, or is not for the method (PGHI needs a window near a Gaussian).
    """
    transform.check_invertible()
    length = transform.samples(magnitude.shape[-1]) if length is None else length
    first, *then = (how.method,) if how.method in DIRECT else (*how.start, how.method)
    wave = _sound(magnitude, _first_phase(magnitude, transform, first, how.seed), transform, length)
    for name in then:
        if name == "refine":
            wave = refine(magnitude, wave, transform, steps=how.iterations, report=_in_db(report))
        else:
            wave = _iterated(magnitude, wave, transform, how.iterations, _MOMENTUM[name], report)
    return wave


def to_wave(
    of: Spectrogram, how: Inversion = Inversion(), *, length: int | None = None, report: Report | None = None
) -> Wave:
    """A wave of a spectrogram of any preset; of mel spectrograms too, at the sample rate of its preset.

    Mel power is spread over the bins it may come from, which are inverted; the wave's own mel spectrogram is then
    brought to the one given. What `peak_db` leaves unsaid is the loudness: it comes back with its greatest magnitude 1.

    Raises:
      ValueError: as `invert`.
    """
    preset = of.preset
    levels = magnitudes(of, preset)
    if preset.mel is None:
        return invert(levels, preset.transform, how, length=length, report=report)
    bins = jnp.sqrt(mel_to_power(levels**2, mel_filters(preset.mel, preset.sample_rate, preset.transform.n_fft)))
    wave = invert(bins, preset.transform, how, length=length, report=report)
    if not how.mel_steps:
        return wave
    return refine_mel(
        levels, wave, preset.transform, preset.mel, preset.sample_rate, steps=how.mel_steps, report=_in_db(report)
    )


def convergence_db(found: Magnitude, wanted: Magnitude) -> Float[Array, ""]:
    """Spectral convergence: energy of the difference of magnitudes over the energy of what is wanted, in dB."""
    least = 1e-20
    return 10 * jnp.log10((jnp.sum((found - wanted) ** 2) + least) / (jnp.sum(wanted**2) + least))


def _first_phase(magnitude: Magnitude, transform: Stft, start: str, seed: int) -> Phase:
    if start == "random":
        return gl.random_phase(jax.random.key(seed), magnitude.shape)
    if start == "zero":
        return jnp.zeros_like(magnitude)
    return _DIRECTLY[start](magnitude, transform)


def _iterated(
    magnitude: Magnitude, wave: Wave, transform: Stft, iterations: int, momentum: float, report: Report | None
) -> Wave:
    search = gl.begin(wave)
    for done in range(0, iterations, _CHUNK):
        count = min(_CHUNK, iterations - done)
        search = _improved(search, magnitude, transform, iterations=count, momentum=momentum)
        if report is not None:
            report(done + count, float(_convergence_db(search.wave, magnitude, transform)))
    return search.wave


def _wave_of(magnitude: Magnitude, phase: Phase, transform: Stft, length: int) -> Wave:
    return istft(polar(magnitude, phase), transform, length)


# Compiled once for each shape, however often they are called.
_sound = jax.jit(_wave_of, static_argnums=(2, 3))
_improved = jax.jit(gl.improve, static_argnums=2, static_argnames=("iterations", "momentum"))
_convergence_db = jax.jit(lambda w, wanted, of: convergence_db(stft.magnitude(w, of), wanted), static_argnums=2)
_DIRECTLY = {name: jax.jit(phases, static_argnums=1) for name, phases in DIRECT.items()}


def _in_db(report: Report | None) -> Report | None:
    if report is None:
        return None
    return lambda done, value: report(done, 10 * float(np.log10(max(value, 1e-20))))
