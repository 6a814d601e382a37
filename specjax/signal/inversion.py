"""Spectrogram inversion: from magnitudes back to a wave, with a choice of methods and starting points."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.arrays.arguments import check_arguments
from specjax.arrays.axes import pad_axis
from specjax.optim.minimization import StepCallback
from specjax.signal import short_time_fourier
from specjax.signal.mel import mel_filters
from specjax.signal.phase import admm
from specjax.signal.phase import griffin_lim as gl
from specjax.signal.phase.pghi import pghi
from specjax.signal.phase.refine import refine, refine_mel
from specjax.signal.phase.rtisi import rtisi_la
from specjax.signal.phase.rtpghi import rtpghi
from specjax.signal.phase.spsi import spsi
from specjax.signal.polar import polar
from specjax.signal.presets import Spectrogram, magnitudes
from specjax.signal.shapes import Magnitude, Phase, Rows, Wave
from specjax.signal.short_time_fourier import Stft, synthesize
from specjax.signal.unmel import mel_to_power

DIRECT: dict[str, Callable[[Magnitude, Stft], Phase]] = {
    "spsi": spsi,
    "pghi": pghi,
    "rtpghi": rtpghi,
    "rtisi_la": rtisi_la,
}
# The variants of Griffin-Lim that make up a method, one after the other; each makes an equal share of the iterations.
_GRIFFIN_LIM = {
    "griffin_lim": (gl.GRIFFIN_LIM,),
    "fast_griffin_lim": (gl.FAST,),
    "accelerated_griffin_lim": (gl.ACCELERATED,),
    "subset_griffin_lim": (gl.SUBSETS, gl.ACCELERATED),
}
ITERATIVE = (*_GRIFFIN_LIM, "admm", "refine")
METHODS = (*ITERATIVE, *DIRECT)
STARTS = ("random", "zero", *DIRECT)
Progress = Callable[[str, int, int, float], None]
_CHUNK = 8  # iterations from one progress report to the next


@dataclass(frozen=True)
class Inversion:
    """Settings of spectrogram inversion, the reconstruction of a wave from magnitudes.

    Attributes:
      method: one of `METHODS`. Iterative methods improve a wave step by step: `griffin_lim`, `fast_griffin_lim` (with
        momentum), `accelerated_griffin_lim` (with more momentum), `subset_griffin_lim` (half of the iterations use the
        even and odd frames in turn, then as `accelerated_griffin_lim`), `admm` and `refine` (L-BFGS). Direct methods
        estimate the phases from the magnitudes alone and need no initial phases: `spsi`, `pghi`, `rtpghi` and
        `rtisi_la`.
      start: starting point of an iterative method; direct methods do not use it. The first entry gives the initial
        phases: `random`, `zero` or the name of a direct method. Each further entry is the name of an iterative method,
        which continues from the result of the entry before it.
      iterations: number of iterations of each iterative method.
      mel_steps: number of L-BFGS steps that follow if the input is a mel spectrogram. They bring the mel spectrogram of
        the wave closer to the input. 0: no such steps.
      seed: random seed of the initial phases, if `start` begins with `random`.

    Raises:
      ValueError: a name is unknown or a number is out of range.
    """

    method: str = "subset_griffin_lim"
    start: tuple[str, ...] = ("pghi",)
    iterations: int = 32
    mel_steps: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method={self.method!r} is unknown: choose one of {', '.join(METHODS)}")
        if not self.start or self.start[0] not in STARTS:
            raise ValueError(f"start={self.start!r} must begin with one of {', '.join(STARTS)}")
        if other := [name for name in self.start[1:] if name not in ITERATIVE]:
            raise ValueError(f"start={self.start!r}: {other[0]!r} cannot follow, only {', '.join(ITERATIVE)} can")
        if self.iterations < 1 or self.mel_steps < 0 or not 0 <= self.seed < 2**32:
            raise ValueError(
                f"iterations={self.iterations} must be above 0, mel_steps={self.mel_steps} not negative, "
                f"seed={self.seed} from 0 to {2**32 - 1}"
            )


@check_arguments
def invert(
    magnitude: Magnitude,
    transform: Stft,
    settings: Inversion = Inversion(),
    *,
    length: int | None = None,
    report: Progress | None = None,
) -> Wave:
    """Reconstruct waves whose STFT magnitudes are close to `magnitude`.

    The result is differentiable with respect to `magnitude` unless the method `refine` is used. Gradients treat the
    initial phases, and the phases from a direct method, as constants.

    Args:
      magnitude: target magnitudes, 0 or more, at any scale: shape `(*batch, bins, frames)`.
      transform: parameters of the short-time Fourier transform that the magnitudes belong to.
      settings: method and number of iterations.
      length: length of the wave in samples; the result is cut or padded with zeros at the end. By default
        `transform.samples`.
      report: called as `report(method, iterations done, total iterations, spectral convergence in dB)`. Before the
        first iteration the convergence is nan.

    Raises:
      ValueError: the transform has no inverse; the method does not support its window (PGHI and RTPGHI need one close
        to a Gaussian); the number of bins does not match the transform; or the default length is below 1.
    """
    # `refine` has no gradient because its optimization loop runs in Python.
    transform.check_invertible()
    transform.check_bins(magnitude)
    frames = magnitude.shape[-1]
    covered = transform.samples(frames)
    if covered < 1 and length is None:
        raise ValueError(f"{frames} frames of {transform.n_fft} samples cover no sample: give a length")
    length = covered if length is None else length
    # Iterative methods need a wave that has exactly as many frames as the magnitudes.
    inner = length if transform.has_frames(length, frames) else covered
    first, *iterative = (settings.method,) if settings.method in DIRECT else (*settings.start, settings.method)
    level = jnp.max(magnitude, axis=(-2, -1), keepdims=True)
    target = safe.divide(magnitude, level)
    _report_start(report, first, 1)
    wave = _synthesize(target, _initial_phase(target, transform, first, settings.seed), transform, inner)
    for name in iterative:
        _report_start(report, name, settings.iterations)
        if name == "refine":
            callback = _callback_in_db(report, name, settings.iterations)
            wave = refine(target, wave, transform, steps=settings.iterations, report=callback)
        else:
            wave = _run_projections(target, wave, transform, settings.iterations, name, report)
    return pad_axis(wave[..., :length] * level[..., 0], 0, max(length - inner, 0))


@check_arguments
def to_wave(
    spectrogram: Spectrogram,
    settings: Inversion = Inversion(),
    *,
    length: int | None = None,
    report: Progress | None = None,
) -> Wave:
    """Reconstruct a wave from a spectrogram.

    The spectrogram carries its preset: the sample rate, STFT, mel filters and scale with which it was computed. The
    wave has the sample rate of the preset.

    A mel spectrogram is inverted in three steps. First the power in each filter is distributed over the frequency bins.
    Then a wave is computed from the magnitudes of the bins by `invert`. Finally `settings.mel_steps` steps of L-BFGS
    bring the mel spectrogram of the wave closer to `spectrogram`.

    A preset with the scale `peak_db` (dB relative to the greatest magnitude) stores no absolute level. In this case the
    greatest magnitude is taken to be 1.

    Args:
      spectrogram: the spectrogram, which contains its preset.
      settings: method and numbers of iterations.
      length: length of the wave in samples; the result is cut or padded with zeros at the end. By default the number of
        samples that the frames cover.
      report: called as `report(method, steps done, total steps, spectral convergence in dB)`. In the final steps for
        mel spectrograms, `method` is `mel`.

    Raises:
      ValueError: the spectrogram cannot be inverted, for one of the reasons listed in `invert`.
    """
    preset = spectrogram.preset
    levels = magnitudes(spectrogram, preset)
    if preset.mel is None:
        return invert(levels, preset.transform, settings, length=length, report=report)
    power = mel_to_power(levels**2, mel_filters(preset.mel, preset.sample_rate, preset.transform.n_fft))
    wave = invert(safe.sqrt(power), preset.transform, settings, length=length, report=report)
    if not settings.mel_steps:
        return wave
    _report_start(report, "mel", settings.mel_steps)
    callback = _callback_in_db(report, "mel", settings.mel_steps)
    return refine_mel(
        levels, wave, preset.transform, preset.mel, preset.sample_rate, steps=settings.mel_steps, report=callback
    )


@check_arguments
def convergence_db(result: Rows, target: Rows) -> Float[Array, ""]:
    """Compute the spectral convergence in dB: `10 log10(sum((result - target)^2) / sum(target^2))`.

    The sums run over all bins, frames and clips of a batch. If both arguments are silent, the convergence is 0 dB.

    Args:
      result: magnitudes of the reconstructed waves.
      target: the magnitudes that they should have.
    """
    level = jnp.maximum(jnp.max(target), 1e-30)
    floor = 1e-20
    return 10 * jnp.log10(
        (jnp.sum(((result - target) / level) ** 2) + floor) / (jnp.sum((target / level) ** 2) + floor)
    )


def _initial_phase(magnitude: Magnitude, transform: Stft, start: str, seed: int) -> Phase:
    if start == "random":
        return gl.random_phase(jax.random.key(seed), magnitude.shape)
    if start == "zero":
        return jnp.zeros_like(magnitude)
    return DIRECT[start](jax.lax.stop_gradient(magnitude), transform)


@partial(jax.jit, static_argnums=(2, 3))
def _synthesize(magnitude: Magnitude, phase: Phase, transform: Stft, length: int) -> Wave:
    spectrum = jnp.swapaxes(polar(magnitude, phase), -1, -2)
    return synthesize(spectrum, transform, length, min_overlap=gl.MIN_OVERLAP)


def _run_projections(
    target: Magnitude, wave: Wave, transform: Stft, iterations: int, name: str, report: Progress | None
) -> Wave:
    """Improve a wave by a variant of Griffin-Lim or by ADMM, and return the improved wave.

    If `report` is None, the iterations run in one compiled call for each variant. Otherwise each call runs up to
    `_CHUNK` iterations, and `report` is called after it.

    Args:
      target: magnitudes that the STFT of the wave should have.
      wave: the wave to start from.
      transform: parameters of the short-time Fourier transform.
      iterations: number of iterations.
      name: name of the method.
      report: progress callback of `invert`, or None.
    """
    state: Any
    stages: list[Callable[..., Any]]
    if name == "admm":
        state, stages = admm.init_state(wave, transform), [admm.iterate]
    else:
        state, stages = gl.init_state(wave), [partial(gl.iterate, variant=each) for each in _GRIFFIN_LIM[name]]
    done = 0
    for i, iterate in enumerate(stages):
        end = iterations * (i + 1) // len(stages)
        while done < end:
            count = end - done if report is None else min(_CHUNK, end - done)
            state = iterate(state, target, transform, iterations=count)
            done += count
            if report is not None:
                report(name, done, iterations, float(_wave_convergence_db(state.wave, target, transform)))
    return state.wave


@partial(jax.jit, static_argnums=2)
def _wave_convergence_db(wave: Wave, target: Magnitude, transform: Stft) -> Float[Array, ""]:
    return convergence_db(short_time_fourier.magnitude(wave, transform), target)


def _report_start(report: Progress | None, name: str, total: int) -> None:
    if report is not None:
        report(name, 0, total, float("nan"))


def _callback_in_db(report: Progress | None, name: str, total: int) -> StepCallback | None:
    """Wrap the progress callback of `invert` as a callback for an optimizer; if `report` is None, return None.

    The optimizer calls the returned function with the number of steps done and the squared spectral convergence. The
    function calls `report` with the name, the number of steps done, the total and the convergence in dB.

    Args:
      report: progress callback of `invert`.
      name: name of the method, passed to `report`.
      total: total number of steps, passed to `report`.
    """
    if report is None:
        return None
    return lambda done, value: report(name, done, total, 10 * float(np.log10(max(value, 1e-20))))
