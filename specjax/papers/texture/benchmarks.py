"""Benchmarks of signal processing: spectrograms of noise and tones, and their inversion."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from specjax.benchmark.clips import make_tones
from specjax.benchmark.timing import Benchmark, Info, compile_benchmark, wrap_callable
from specjax.cli.config import to_dataclass
from specjax.engine import sharding
from specjax.signal.inversion import DIRECT, Inversion, convergence_db, invert
from specjax.signal.phase.griffin_lim import griffin_lim, random_phase
from specjax.signal.polar import polar
from specjax.signal.presets import PRESETS, spectrogram
from specjax.signal.stft import Stft, istft, magnitude, stft


@dataclass(frozen=True)
class SignalConfig:
    """Sizes of the benchmarks.

    Attributes:
      sample_rate: of all clips, in Hz.
      mel_s: duration of the clips of the mel benchmarks, in seconds.
      phase_s: duration of the clips of all other benchmarks, in seconds.
      n_fft: frame length of the transforms other than mel.
      hop_length: hop length of the transforms other than mel.
      iterations: iterations of `griffin_lim`, which starts from random phases, as its peers do.
      refinements: iterations of `invert` and `refine`, which start from PGHI.
    """

    sample_rate: int = 22050
    mel_s: float = 10.0
    phase_s: float = 5.0
    n_fft: int = 1024
    hop_length: int = 256
    iterations: int = 100
    refinements: int = 32


_MEL = Info(10, plain=("librosa", "signal_mel"), tuned=("melody_mel.py", "--variant", "torch", "--log", "--compile"))


def _phase_info(name: str, tuned: tuple[str, ...] = ()) -> Info:
    """Describe a benchmark of four clips that librosa is timed on too, by `benchmarks.peers.signal_phase`."""
    return Info(4, plain=("librosa", "signal_phase", name), tuned=tuned)


INFO = {
    "mel": _MEL,
    "mel_100": _MEL._replace(batch=100),
    "stft": _phase_info("stft"),
    "istft": _phase_info("istft"),
    "griffin_lim": _phase_info("griffin_lim", ("griffin_lim.py", "--variant", "tuned", "--compile")),
    "spsi": Info(4),
    "rtisi_la": Info(4),
    "rtpghi": Info(4),
    "pghi": Info(4),
    "invert": _phase_info("invert"),
    "refine": Info(4),
}


def build(name: str, config: Mapping[str, Any], batch: int) -> Benchmark:
    """Build the benchmark `name` with `batch` clips per call, split equally over all devices.

    Raises:
      UserError: the number of clips is not a multiple of the number of devices.
    """
    values = {key: value for key, value in config.items() if key != "task"}
    return _build_on_mesh(name, to_dataclass(SignalConfig, values), batch)


def _build_on_mesh(name: str, config: SignalConfig, batch: int) -> Benchmark:
    """Build a benchmark that runs under a mesh of all devices."""
    mesh = sharding.make_mesh()
    sharding.check_batch(mesh, batch)
    with jax.set_mesh(mesh):
        benchmark = _build(name, config, batch, partial(jax.device_put, device=sharding.batch_sharding(mesh)))

    def call() -> Any:
        with jax.set_mesh(mesh):
            return benchmark.call()

    return replace(benchmark, call=call)


def _build(name: str, config: SignalConfig, batch: int, shard: Callable[[Any], Array]) -> Benchmark:
    """Build a benchmark under the current mesh; `shard` spreads a batch over its devices."""
    if name in ("mel", "mel_100"):
        return build_mel(config, batch, shard)
    transform = Stft(config.n_fft, config.hop_length)
    wave = shard(make_tones(batch, config.phase_s, config.sample_rate))
    if name == "stft":
        flops, bytes_moved = stft_cost(wave.shape[1], transform)
        benchmark = compile_benchmark(partial(stft, transform=transform), (wave,), batch, flops, bytes_moved)
        return replace(benchmark, audio_s=config.phase_s)
    target = jax.jit(partial(magnitude, transform=transform))(wave)

    def evaluate(result: Array) -> float:
        return float(convergence_db(magnitude(result, transform), target))

    benchmark = build_inversion(name, config, wave, target, transform, shard)
    return replace(benchmark, audio_s=config.phase_s, convergence_db=evaluate)


def build_inversion(
    name: str,
    config: SignalConfig,
    wave: Float[Array, "batch samples"],
    target: Float[Array, "batch bins frames"],
    transform: Stft,
    shard: Callable[[Any], Array],
) -> Benchmark:
    """Build a benchmark that reconstructs `wave` from its magnitudes `target`; `istft` starts from complex spectra."""
    batch, samples = wave.shape
    flops, bytes_moved = stft_cost(samples, transform)
    if name == "istft":
        spectra = jax.jit(partial(stft, transform=transform))(wave)
        inverse = partial(istft, transform=transform, length=samples)
        return compile_benchmark(inverse, (spectra,), batch, flops, bytes_moved)
    if name == "griffin_lim":
        initial_phase = shard(random_phase(jax.random.key(0), target.shape))

        def run_griffin_lim(target: Array, phase: Array) -> Float[Array, "batch samples"]:
            return griffin_lim(target, transform, phase, iterations=config.iterations, length=samples)

        # Each iteration is an inverse and a forward transform. Only the input and the output have to be moved.
        total_flops = (2 * config.iterations + 1) * flops
        return compile_benchmark(run_griffin_lim, (target, initial_phase), batch, total_flops, bytes_moved)
    if name in DIRECT:

        def run_direct(target: Array) -> Float[Array, "batch samples"]:
            return istft(polar(target, DIRECT[name](target, transform)), transform, samples)

        # A few operations for the phase of each coefficient, and one inverse transform.
        return compile_benchmark(run_direct, (target,), batch, flops + 10.0 * target[0].size, bytes_moved)
    settings = Inversion("refine" if name == "refine" else "fast_griffin_lim", iterations=config.refinements)
    run_iterations = partial(invert, target, transform, settings, length=samples)
    return wrap_callable(run_iterations, batch, (2 * config.refinements + 1) * flops, bytes_moved)


def stft_cost(samples: int, transform: Stft) -> tuple[float, float]:
    """Return the least operations of one transform of a clip, and the bytes of the wave and its spectrum together."""
    frames = transform.frames(samples)
    return frames * fft_flops(transform.n_fft), 4.0 * samples + 8.0 * frames * transform.bins


def build_mel(config: SignalConfig, batch: int, shard: Callable[[Any], Array]) -> Benchmark:
    """Build a benchmark that computes the mel spectrograms of the MELodyGAN paper, section 3.3."""
    preset = PRESETS["melodygan"]
    rng = np.random.default_rng(0)
    samples = round(config.mel_s * config.sample_rate)
    wave = shard((0.1 * rng.standard_normal((batch, samples))).astype(np.float32))
    frames, n_mels = preset.transform.frames(samples), preset.mel.n_mels if preset.mel else 0
    # Each bin contributes to at most two filters.
    flops = frames * (fft_flops(preset.transform.n_fft) + 2.0 * 2 * preset.transform.bins)
    benchmark = compile_benchmark(
        lambda w: spectrogram(w, preset).values, (wave,), batch, flops, 4.0 * (samples + frames * n_mels)
    )
    return replace(benchmark, audio_s=config.mel_s)


def fft_flops(n_fft: int) -> float:
    """Return the operations of a real FFT of length N: half of the customary `5 N log2 N` of a complex one."""
    return 2.5 * n_fft * math.log2(n_fft)
