"""Benchmarks of spectrograms, of their inversion to sound, and of networks, on synthetic noise and tones."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from specjax.benchmark.timing import Benchmark, Info, compile_benchmark, wrap_callable
from specjax.benchmark.tones import make_tones
from specjax.cli.config import to_dataclass
from specjax.engine import sharding
from specjax.papers.texture import network_benchmarks
from specjax.papers.texture.network_benchmarks import NetworkSizes
from specjax.signal.inversion import DIRECT, Inversion, convergence_db, invert
from specjax.signal.phase.griffin_lim import griffin_lim, random_phase
from specjax.signal.polar import polar
from specjax.signal.presets import PRESETS, spectrogram
from specjax.signal.short_time_fourier import Stft, istft, magnitude, stft


@dataclass(frozen=True)
class SignalConfig:
    """Clip lengths, transform sizes and iteration counts of the benchmarks.

    Attributes:
      sample_rate: sample rate of all clips, in Hz.
      mel_s: duration of the clips in the mel spectrogram benchmarks, in seconds.
      phase_s: duration of the clips in all other benchmarks, in seconds.
      n_fft: frame length in samples, for all benchmarks except mel spectrograms.
      hop_length: hop length in samples, for all benchmarks except mel spectrograms.
      iterations: iterations of the benchmark `griffin_lim`. It starts from random phases, as librosa's Griffin-Lim
        does.
      refinements: iterations of the benchmarks `invert` and `refine`. They start from phases estimated by PGHI (phase
        gradient heap integration).
      networks: sizes of the networks in the benchmarks `classifier_step`, `style` and `style_8`.
    """

    sample_rate: int = 22050
    mel_s: float = 10.0
    phase_s: float = 5.0
    n_fft: int = 1024
    hop_length: int = 256
    iterations: int = 100
    refinements: int = 32
    networks: NetworkSizes = NetworkSizes()


_MEL = Info(10, plain=("librosa", "signal_mel"), tuned=("melody_mel.py", "--variant", "torch", "--log", "--compile"))


def _phase_info(name: str, tuned: tuple[str, ...] = ()) -> Info:
    """Describe a benchmark that processes four clips per call and is compared with a librosa program.

    The librosa program is `benchmarks.peers.signal_phase`.

    Args:
      name: name of the benchmark. It is also the command-line argument of the librosa program.
      tuned: script that does the same computation with speed as its goal, followed by its command-line arguments; empty
        if there is none.
    """
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
} | network_benchmarks.INFO


def build(name: str, config: Mapping[str, Any], batch: int) -> Benchmark:
    """Build a benchmark that is ready to be timed.

    Args:
      name: name of the benchmark, a key of `INFO`.
      config: task `texture/signal` and fields of `SignalConfig` by name, or the config of another task of this paper,
        whose values have no effect.
      batch: number of clips per call, split evenly over all devices.

    Raises:
      UserError: a config value is invalid, or `batch` is not a multiple of the number of devices.
    """
    own = config.get("task", "texture/signal") == "texture/signal"
    values = {key: value for key, value in config.items() if own and key != "task"}
    settings = to_dataclass(SignalConfig, values)
    if name in network_benchmarks.INFO:
        return network_benchmarks.build(name, settings.networks, batch)
    return _build_on_mesh(name, settings, batch)


def _build_on_mesh(name: str, config: SignalConfig, batch: int) -> Benchmark:
    """Build a benchmark whose calls run under a mesh of all devices."""
    mesh = sharding.make_mesh()
    sharding.check_batch(mesh, batch)
    with jax.set_mesh(mesh):
        benchmark = _build(name, config, batch, partial(jax.device_put, device=sharding.batch_sharding(mesh)))

    def call() -> Any:
        with jax.set_mesh(mesh):
            return benchmark.call()

    return replace(benchmark, call=call)


def _build(name: str, config: SignalConfig, batch: int, shard: Callable[[Any], Array]) -> Benchmark:
    """Build a benchmark under the current device mesh.

    Args:
      name: name of the benchmark, a key of `INFO`.
      config: sizes of the benchmark.
      batch: number of clips per call.
      shard: copies an array to the devices of the mesh, split along its first axis.
    """
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
    """Build a benchmark that reconstructs waves from their spectrograms.

    Args:
      name: `istft`, `griffin_lim`, `invert`, `refine`, or a phase reconstruction method in `DIRECT`.
      config: sizes and iteration counts.
      wave: original waves. The benchmark `istft` inverts their complex spectra.
      target: STFT magnitudes of `wave`, which all other benchmarks invert.
      transform: parameters of the STFT.
      shard: copies an array to the devices of the mesh, split along its first axis.
    """
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

        # Each iteration is one inverse and one forward STFT. At least the input is read and the output written.
        total_flops = (2 * config.iterations + 1) * flops
        return compile_benchmark(run_griffin_lim, (target, initial_phase), batch, total_flops, bytes_moved)
    if name in DIRECT:

        def run_direct(target: Array) -> Float[Array, "batch samples"]:
            return istft(polar(target, DIRECT[name](target, transform)), transform, samples)

        # The phase of a coefficient takes at least about ten operations. One inverse STFT follows.
        return compile_benchmark(run_direct, (target,), batch, flops + 10.0 * target[0].size, bytes_moved)
    settings = Inversion("refine" if name == "refine" else Inversion.method, iterations=config.refinements)
    run_iterations = partial(invert, target, transform, settings, length=samples)
    return wrap_callable(run_iterations, batch, (2 * config.refinements + 1) * flops, bytes_moved)


def stft_cost(samples: int, transform: Stft) -> tuple[float, float]:
    """Return the cost of the STFT of one clip of `samples` samples, as a lower bound for any implementation.

    Returns:
      The number of floating-point operations of the FFTs of all frames, and the number of bytes of the float32 wave
      (read) and the complex64 spectrum (written).
    """
    frames = transform.frames(samples)
    return frames * fft_flops(transform.n_fft), 4.0 * samples + 8.0 * frames * transform.bins


def build_mel(config: SignalConfig, batch: int, shard: Callable[[Any], Array]) -> Benchmark:
    """Build a benchmark that computes mel spectrograms of noise, as defined in section 3.3 of the MELodyGAN paper."""
    preset = PRESETS["melodygan"]
    rng = np.random.default_rng(0)
    samples = round(config.mel_s * config.sample_rate)
    wave = shard((0.1 * rng.standard_normal((batch, samples))).astype(np.float32))
    frames, n_mels = preset.transform.frames(samples), preset.mel.n_mels if preset.mel else 0
    # Each bin lies in at most two mel filters.
    flops = frames * (fft_flops(preset.transform.n_fft) + 2.0 * 2 * preset.transform.bins)
    benchmark = compile_benchmark(
        lambda w: spectrogram(w, preset).values, (wave,), batch, flops, 4.0 * (samples + frames * n_mels)
    )
    return replace(benchmark, audio_s=config.mel_s)


def fft_flops(n_fft: int) -> float:
    """Return the number of operations of a real FFT of N = `n_fft` samples.

    It is `2.5 N log2 N`, half of the customary `5 N log2 N` of a complex FFT.
    """
    return 2.5 * n_fft * math.log2(n_fft)
