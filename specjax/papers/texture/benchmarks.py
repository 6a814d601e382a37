"""The works of the signal floor: spectrograms of noise and tones, and their inversion."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from specjax.benchmark.clips import tones
from specjax.benchmark.timing import Benchmark, Info, compile_benchmark, wrap_callable
from specjax.cli.config import to_dataclass
from specjax.engine import sharding as meshes
from specjax.signal.inversion import DIRECT, Inversion, convergence_db, invert
from specjax.signal.phase.griffin_lim import griffin_lim, random_phase
from specjax.signal.polar import polar
from specjax.signal.presets import PRESETS, spectrogram
from specjax.signal.stft import Stft, istft, magnitude, stft


@dataclass(frozen=True)
class SignalConfig:
    """Sizes of the works: seconds of each clip, and how phases are looked for.

    iterations: of `griffin_lim`, from random phases, as the peers do it.
    refinements: of `invert` and `refine`, which begin with PGHI.
    """

    sample_rate: int = 22050
    mel_s: float = 10.0
    phase_s: float = 5.0
    n_fft: int = 1024
    hop_length: int = 256
    iterations: int = 100
    refinements: int = 32


_MEL = Info(10, plain=("librosa", "signal_mel"), tuned=("melody_mel.py", "--variant", "torch", "--log", "--compile"))


def _phase(name: str, tuned: tuple[str, ...] = ()) -> Info:
    return Info(4, plain=("librosa", "signal_phase", name), tuned=tuned)


INFO = {
    "mel": _MEL,
    "mel_100": _MEL._replace(batch=100),
    "stft": _phase("stft"),
    "istft": _phase("istft"),
    "griffin_lim": _phase("griffin_lim", ("griffin_lim.py", "--variant", "tuned", "--compile")),
    "spsi": Info(4),
    "rtisi_la": Info(4),
    "rtpghi": Info(4),
    "pghi": Info(4),
    "invert": _phase("invert"),
    "refine": Info(4),
}


def build(name: str, config: Mapping[str, Any], batch: int) -> Benchmark:
    """The benchmark called `name`, of `batch` clips a call, every device doing its share.

    Raises:
      UserError: the clips do not divide over the devices.
    """
    values = {key: value for key, value in config.items() if key != "task"}
    return _build(name, to_dataclass(SignalConfig, values), batch)


def _build(name: str, config: SignalConfig, batch: int) -> Benchmark:
    mesh = meshes.make_mesh()
    meshes.check_batch(mesh, batch)
    with jax.set_mesh(mesh):
        benchmark = _single(name, config, batch, partial(jax.device_put, device=meshes.batch_sharding(mesh)))

    def call() -> Any:
        with jax.set_mesh(mesh):
            return benchmark.call()

    return replace(benchmark, call=call)


def _single(name: str, config: SignalConfig, batch: int, spread: Callable[[Any], Array]) -> Benchmark:
    if name in ("mel", "mel_100"):
        return mel(config, batch, spread)
    transform = Stft(config.n_fft, config.hop_length)
    wave = spread(tones(batch, config.phase_s, config.sample_rate))
    if name == "stft":
        once, moved = cost(wave.shape[1], transform)
        benchmark = compile_benchmark(partial(stft, transform=transform), (wave,), batch, once, moved)
        return replace(benchmark, audio_s=config.phase_s)
    wanted = jax.jit(partial(magnitude, transform=transform))(wave)

    def near(found: Array) -> float:
        return float(convergence_db(magnitude(found, transform), wanted))

    benchmark = inversion(name, config, wave, wanted, transform, spread)
    return replace(benchmark, audio_s=config.phase_s, convergence_db=near)


def inversion(
    name: str,
    config: SignalConfig,
    wave: Float[Array, "batch samples"],
    wanted: Float[Array, "batch bins frames"],
    transform: Stft,
    spread: Callable[[Any], Array],
) -> Benchmark:
    """From magnitudes (`istft`: from spectra) back to the clips."""
    batch, samples = wave.shape
    once, moved = cost(samples, transform)
    if name == "istft":
        spectra = jax.jit(partial(stft, transform=transform))(wave)
        return compile_benchmark(partial(istft, transform=transform, length=samples), (spectra,), batch, once, moved)
    if name == "griffin_lim":
        phase = spread(random_phase(jax.random.key(0), wanted.shape))

        def whole(wanted: Array, phase: Array) -> Float[Array, "batch samples"]:
            return griffin_lim(wanted, transform, phase, iterations=config.iterations, length=samples)

        # Each iteration is there and back; what must move is what goes in and what comes out.
        return compile_benchmark(whole, (wanted, phase), batch, (2 * config.iterations + 1) * once, moved)
    if name in DIRECT:

        def directly(wanted: Array) -> Float[Array, "batch samples"]:
            return istft(polar(wanted, DIRECT[name](wanted, transform)), transform, samples)

        # A few operations for the phase of every place, and one way back.
        return compile_benchmark(directly, (wanted,), batch, once + 10.0 * wanted[0].size, moved)
    how = Inversion("refine" if name == "refine" else "fast_griffin_lim", iterations=config.refinements)
    again = partial(invert, wanted, transform, how, length=samples)
    return wrap_callable(again, batch, (2 * config.refinements + 1) * once, moved)


def cost(samples: int, transform: Stft) -> tuple[float, float]:
    """Least operations of one transform of a clip, and bytes of the wave and its spectrum."""
    frames = transform.frames(samples)
    return frames * fft_flops(transform.n_fft), 4.0 * samples + 8.0 * frames * transform.bins


def mel(config: SignalConfig, batch: int, spread: Callable[[Any], Array]) -> Benchmark:
    """MELodyGAN's mel spectrograms, section 3.3."""
    preset = PRESETS["melodygan"]
    rng = np.random.default_rng(0)
    samples = round(config.mel_s * config.sample_rate)
    wave = spread((0.1 * rng.standard_normal((batch, samples))).astype(np.float32))
    frames, n_mels = preset.transform.frames(samples), preset.mel.n_mels if preset.mel else 0
    # A bin lies in two filters at most.
    flops = frames * (fft_flops(preset.transform.n_fft) + 2.0 * 2 * preset.transform.bins)
    benchmark = compile_benchmark(
        lambda w: spectrogram(w, preset).values, (wave,), batch, flops, 4.0 * (samples + frames * n_mels)
    )
    return replace(benchmark, audio_s=config.mel_s)


def fft_flops(n_fft: int) -> float:
    """Of a real transform, counted as is usual: half of `5 N log2 N`."""
    return 2.5 * n_fft * math.log2(n_fft)
