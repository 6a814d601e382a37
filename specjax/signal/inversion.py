"""From magnitudes back to a wave: every method under one name, begun by any other."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.arrays.axes import pad_axis
from specjax.optim.minimize import Report
from specjax.signal import stft
from specjax.signal.mel import mel_filters
from specjax.signal.phase import griffin_lim as gl
from specjax.signal.phase.pghi import pghi
from specjax.signal.phase.refine import refine, refine_mel
from specjax.signal.phase.rtisi import rtisi_la
from specjax.signal.phase.rtpghi import rtpghi
from specjax.signal.phase.spsi import spsi
from specjax.signal.polar import polar
from specjax.signal.presets import Spectrogram, magnitudes
from specjax.signal.shapes import Magnitude, Phase, Rows, Wave
from specjax.signal.stft import Stft, istft
from specjax.signal.unmel import mel_to_power

DIRECT: dict[str, Callable[[Magnitude, Stft], Phase]] = {
    "spsi": spsi,
    "pghi": pghi,
    "rtpghi": rtpghi,
    "rtisi_la": rtisi_la,
}
ITERATIVE = ("griffin_lim", "fast_griffin_lim", "refine")
METHODS = (*ITERATIVE, *DIRECT)
STARTS = ("random", "zero", *DIRECT)
Progress = Callable[[str, int, int, float], None]
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
        if self.iterations < 1 or self.mel_steps < 0 or not 0 <= self.seed < 2**32:
            raise ValueError(
                f"iterations={self.iterations} must be above 0, mel_steps={self.mel_steps} not negative, "
                f"seed={self.seed} from 0 to {2**32 - 1}"
            )


def invert(
    magnitude: Magnitude,
    transform: Stft,
    how: Inversion = Inversion(),
    *,
    length: int | None = None,
    report: Progress | None = None,
) -> Wave:
    """A wave whose magnitudes come near to those given; many at once, where there are axes before.

    Derivatives pass through all but the choice of the first phases, and `refine`, which the host leads.

    Args:
      magnitude: 0 or more, of any scale.
      length: of the wave, in samples, which is cut or filled up with zeros; by default `transform.samples`.
      report: is told (method, iterations done, of how many, spectral convergence in dB), how it gets on; of none done
        the convergence is nan.

    Raises:
      ValueError: the transform has no inverse, or another number of bins, or is not for the method (PGHI needs a window
        near a Gaussian); the frames are too few for a single sample.
    """
    transform.check_invertible()
    transform.check_bins(magnitude)
    frames = magnitude.shape[-1]
    covered = transform.samples(frames)
    if covered < 1 and length is None:
        raise ValueError(f"{frames} frames of {transform.n_fft} samples cover no sample: give a length")
    length = covered if length is None else length
    # Iterations go there and back: to as many frames.
    inner = length if transform.has_frames(length, frames) else covered
    first, *then = (how.method,) if how.method in DIRECT else (*how.start, how.method)
    level = jnp.max(magnitude, axis=(-2, -1), keepdims=True)
    wanted = safe.divide(magnitude, level)
    _begins(report, first, 1)
    wave = _wave_of(wanted, _first_phase(wanted, transform, first, how.seed), transform, inner)
    for name in then:
        _begins(report, name, how.iterations)
        if name == "refine":
            wave = refine(wanted, wave, transform, steps=how.iterations, report=_in_db(report, name, how.iterations))
        else:
            wave = _iterated(wanted, wave, transform, how.iterations, name, report)
    return pad_axis(wave[..., :length] * level[..., 0], 0, max(length - inner, 0))


def to_wave(
    of: Spectrogram, how: Inversion = Inversion(), *, length: int | None = None, report: Progress | None = None
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
    power = mel_to_power(levels**2, mel_filters(preset.mel, preset.sample_rate, preset.transform.n_fft))
    wave = invert(safe.sqrt(power), preset.transform, how, length=length, report=report)
    if not how.mel_steps:
        return wave
    _begins(report, "mel", how.mel_steps)
    listener = _in_db(report, "mel", how.mel_steps)
    return refine_mel(
        levels, wave, preset.transform, preset.mel, preset.sample_rate, steps=how.mel_steps, report=listener
    )


def convergence_db(found: Rows, wanted: Rows) -> Float[Array, ""]:
    """Spectral convergence: energy of the difference of magnitudes over the energy of what is wanted, in dB.

    Of a batch it is that of all its clips together. Where nothing is wanted and nothing found it is -200 dB.
    """
    level = jnp.maximum(jnp.max(wanted), 1e-30)
    least = 1e-20
    return 10 * jnp.log10((jnp.sum(((found - wanted) / level) ** 2) + least) / (jnp.sum((wanted / level) ** 2) + least))


def _first_phase(magnitude: Magnitude, transform: Stft, start: str, seed: int) -> Phase:
    if start == "random":
        return gl.random_phase(jax.random.key(seed), magnitude.shape)
    if start == "zero":
        return jnp.zeros_like(magnitude)
    return DIRECT[start](jax.lax.stop_gradient(magnitude), transform)


@partial(jax.jit, static_argnums=(2, 3))
def _wave_of(magnitude: Magnitude, phase: Phase, transform: Stft, length: int) -> Wave:
    return istft(polar(magnitude, phase), transform, length, least=gl.LEAST_OVERLAP)


def _iterated(
    wanted: Magnitude, wave: Wave, transform: Stft, iterations: int, name: str, report: Progress | None
) -> Wave:
    """Griffin and Lim's iteration; some at a time, where somebody listens."""
    search, chunk = gl.begin(wave), iterations if report is None else _CHUNK
    for done in range(0, iterations, chunk):
        count = min(chunk, iterations - done)
        search = gl.improve(search, wanted, transform, iterations=count, momentum=_MOMENTUM[name])
        if report is not None:
            report(name, done + count, iterations, float(_convergence_db(search.wave, wanted, transform)))
    return search.wave


@partial(jax.jit, static_argnums=2)
def _convergence_db(wave: Wave, wanted: Magnitude, transform: Stft) -> Float[Array, ""]:
    return convergence_db(stft.magnitude(wave, transform), wanted)


def _begins(report: Progress | None, name: str, total: int) -> None:
    if report is not None:
        report(name, 0, total, float("nan"))


def _in_db(report: Progress | None, name: str, total: int) -> Report | None:
    if report is None:
        return None
    return lambda done, value: report(name, done, total, 10 * float(np.log10(max(value, 1e-20))))
