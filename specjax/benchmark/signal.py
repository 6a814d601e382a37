"""The works of the signal floor: spectrograms of noise and tones, and their inversion."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.benchmark.work import Work, compiled
from specjax.engine import mesh as meshes
from specjax.signal.inversion import DIRECT
from specjax.signal.phase.griffin_lim import griffin_lim, random_phase
from specjax.signal.presets import PRESETS, spectrogram
from specjax.signal.stft import Stft, istft, magnitude, stft


@dataclass(frozen=True)
class SignalConfig:
    """Sizes of the works: seconds of each clip, and how phases are looked for."""

    sample_rate: int = 22050
    mel_s: float = 10.0
    phase_s: float = 5.0
    n_fft: int = 1024
    hop_length: int = 256
    iterations: int = 100


def build(name: str, config: SignalConfig, batch: int) -> Work:
    """The work of that name, for `batch` clips a call, every device doing its share.

    Raises:
      Refusal: the clips do not divide over the devices.
    """
    mesh = meshes.make_mesh()
    meshes.check_batch(mesh, batch)
    with jax.set_mesh(mesh):
        return _work(name, config, batch, partial(jax.device_put, device=meshes.by_example(mesh)))


def _work(name: str, config: SignalConfig, batch: int, spread: Callable[[Array], Array]) -> Work:
    if name == "mel":
        return mel(config, batch, spread)
    transform = Stft(config.n_fft, config.hop_length)
    wave = spread(tones(batch, config.phase_s, config.sample_rate))
    samples = wave.shape[1]
    wanted = jax.jit(partial(magnitude, transform=transform))(wave)
    frames, bins = wanted.shape[-1], transform.bins
    once, spectrum = frames * fft_flops(config.n_fft), 8.0 * frames * bins
    if name == "stft":
        return compiled(partial(stft, transform=transform), (wave,), batch, once, 4.0 * samples + spectrum)
    if name == "istft":
        spectra = jax.jit(partial(stft, transform=transform))(wave)
        back = partial(istft, transform=transform, length=samples)
        return compiled(back, (spectra,), batch, once, 4.0 * samples + spectrum)
    if name == "griffin_lim":
        phase = spread(random_phase(jax.random.key(0), wanted.shape))

        def whole(wanted: Array, phase: Array) -> Float[Array, "batch samples"]:
            return griffin_lim(wanted, transform, phase, iterations=config.iterations, length=samples)

        # Each iteration is there and back; what must move is what goes in and what comes out.
        flops = (2 * config.iterations + 1) * once
        return compiled(whole, (wanted, phase), batch, flops, 4.0 * samples + spectrum)
    # A phase for every place, once each; the arithmetic is a few operations a place.
    return compiled(lambda levels: DIRECT[name](levels, transform), (wanted,), batch, 10.0 * frames * bins, spectrum)


def mel(config: SignalConfig, batch: int, spread: Callable[[Array], Array]) -> Work:
    """MELodyGAN's mel spectrograms, section 3.3."""
    preset = PRESETS["melodygan"]
    rng = np.random.default_rng(0)
    samples = round(config.mel_s * config.sample_rate)
    wave = spread(jnp.asarray(0.1 * rng.standard_normal((batch, samples)), jnp.float32))
    frames, n_mels = preset.transform.frames(samples), preset.mel.n_mels if preset.mel else 0
    # A bin lies in two filters at most.
    flops = frames * (fft_flops(preset.transform.n_fft) + 2.0 * 2 * preset.transform.bins)
    return compiled(lambda w: spectrogram(w, preset).values, (wave,), batch, flops, 4.0 * (samples + frames * n_mels))


def fft_flops(n_fft: int) -> float:
    """Of a real transform, counted as is usual: half of `5 N log2 N`."""
    return 2.5 * n_fft * math.log2(n_fft)


def tones(batch: int, seconds: float, sample_rate: int) -> Float[Array, "batch samples"]:
    """Notes of a few partials that fade twice a second, and a little noise: what inversion is for."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    fade = np.exp(-3 * (2 * time % 1))
    waves = [
        sum(np.sin(2 * np.pi * f0 * k * time + rng.uniform(0, 6)) / k for k in range(1, 8)) * fade
        for f0 in rng.uniform(80, 500, batch)
    ]
    return jnp.asarray(0.1 * np.stack(waves) + 1e-3 * rng.standard_normal((batch, len(time))), jnp.float32)
