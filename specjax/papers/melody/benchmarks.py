"""Benchmarks of the melody paper: updates of the GANs, mel spectrograms of waves, and synthesis of music."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from specjax import papers
from specjax.benchmark.timing import Benchmark, Info, compile_benchmark, count_flops, wrap_callable
from specjax.benchmark.tones import make_tones
from specjax.benchmark.training import adversarial_flops, benchmark_training
from specjax.cli.errors import UserError
from specjax.engine.config import TrainConfig
from specjax.engine.task import Data
from specjax.papers.melody import band, pieces
from specjax.papers.melody.config import GanConfig
from specjax.papers.melody.mel_clips import Music
from specjax.papers.melody.model import COEFFICIENTS
from specjax.papers.melody.paper_model import ARCHITECTURES, HIDDEN, LATENT, Approach
from specjax.papers.melody.representation import (
    CLIP_SAMPLES,
    FILTERS,
    FRAMES,
    MELS,
    SAMPLE_RATE,
    TRANSFORM,
    Representation,
    Statistics,
)
from specjax.papers.melody.task import GanTask
from specjax.papers.melody.tracks import MusicConfig
from specjax.signal.mel import mel_from_wave

_CLIPS = 20  # random training clips of each genre
_CLIP_BYTES = 4.0 * MELS * FRAMES
_STATISTICS = Statistics(1.0, (-40.0,) * MELS, (15.0,) * MELS)
_PAPER = GanConfig(representation=Representation("power", statistics=_STATISTICS), approach="relu", ensemble=True)

INFO = {
    "gan_step": Info(
        10, plain=("pytorch", "melody_gan"), tuned=("melody_gan_step.py", "--variant", "tuned", "--layout", "nhwc")
    ),
    "gan_step_10": Info(10),
    "gan_step_10_in_turn": Info(10),
    "residual_step": Info(0),
    "mel_making": Info(
        10, plain=("librosa", "signal_mel"), tuned=("melody_mel.py", "--variant", "torch", "--log", "--compile")
    ),
    "synthesis": Info(10),
    "synthesis_sound": Info(10),
}


def build(name: str, config: Mapping[str, Any], batch: int) -> Benchmark:
    """Build a benchmark that is ready to be timed. The music is random noise, so no data set is read.

    Args:
      name: key of `INFO`. The benchmarks `gan_step`, `gan_step_10` and `gan_step_10_in_turn` train the paper's networks
        of the third approach, for one genre and for ten genres. All others use the networks of the config.
      config: values of a config whose task is `melody/gan`.
      batch: number of clips per call; for training steps, per update and genre. 0 means the batch size of the config.

    Raises:
      UserError: the config belongs to another task.
    """
    train_config, task = papers.build(config)
    if not isinstance(task, GanTask):
        raise UserError(f"config.task={task.name!r} has no benchmark {name!r}, expected a config of 'melody/gan'")
    train_config = replace(train_config, batch_size=batch or train_config.batch_size)
    if name == "mel_making":
        return mel_making(batch)
    if name.startswith("gan_step"):
        ensemble = name == "gan_step_10"
        genres = band.GENRES if ensemble else band.GENRES[:1]
        paper = replace(_PAPER, data=MusicConfig(genres=genres), ensemble=ensemble)
        return training_step(paper, train_config, runs=10 if name == "gan_step_10_in_turn" else 1)
    settings = replace(
        task.config,
        data=replace(task.config.data, genres=task.config.data.genres or band.GENRES),
        representation=replace(task.config.representation, statistics=_STATISTICS),
        deviations=(1.0,) * COEFFICIENTS,
        judge="",
    )
    if name == "residual_step":
        return training_step(settings, train_config)
    return synthesis(settings, batch, sound=name == "synthesis_sound")


def training_step(config: GanConfig, train_config: TrainConfig, *, runs: int = 1) -> Benchmark:
    """Build a benchmark of a training step: an update of the discriminator, then one of the generator.

    Args:
      config: settings of the GAN, with the genres and the statistics filled in.
      train_config: training settings.
      runs: number of independent training runs that take turns.
    """
    genres, rng = len(config.data.genres), np.random.default_rng(0)
    mel = 10 ** rng.uniform(-8, 0, (genres, _CLIPS, MELS, FRAMES)).astype(np.float32)
    clips = np.full(genres, _CLIPS, np.int32)
    music = Music(mel, clips, np.arange(genres * _CLIPS, dtype=np.int32).reshape(genres, _CLIPS))
    count = _CLIPS if config.ensemble else genres * _CLIPS
    # A real clip and two generated ones are written once and read once.
    return benchmark_training(
        GanTask(config), train_config, Data(music, music, count, _CLIPS), step_flops(config), 6 * _CLIP_BYTES, runs=runs
    )


def mel_making(batch: int) -> Benchmark:
    """Build a benchmark that computes the networks' input from waves of 10 s."""
    wave = jnp.asarray(make_tones(batch, CLIP_SAMPLES / SAMPLE_RATE, SAMPLE_RATE))
    representation = Representation(statistics=_STATISTICS)
    # A real Fourier transform of N samples takes 2.5 N log2 N operations. Each bin lies in at most two mel filters.
    flops = FRAMES * (2.5 * TRANSFORM.n_fft * math.log2(TRANSFORM.n_fft) + 4.0 * TRANSFORM.bins)
    benchmark = compile_benchmark(
        lambda wave: representation.encode(mel_from_wave(wave, TRANSFORM, FILTERS)),
        (wave,),
        batch,
        flops,
        4.0 * CLIP_SAMPLES + _CLIP_BYTES,
    )
    return replace(benchmark, audio_s=CLIP_SAMPLES / SAMPLE_RATE)


def synthesis(config: GanConfig, batch: int, *, sound: bool) -> Benchmark:
    """Build a benchmark that generates clips of 10 s.

    Args:
      config: settings of the GAN, with the genres and the statistics filled in.
      batch: number of clips per call.
      sound: whether to also reconstruct the sound of each clip by the default inversion, whose operations are not
        counted.
    """
    inference = GanTask(config).inference
    variables = jax.jit(inference.init_generators)(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), batch)
    shares = jnp.eye(len(config.data.genres))[jnp.arange(batch) % len(config.data.genres)]

    def generate() -> Any:
        power = pieces.generate(inference, variables, keys, shares)
        return pieces.to_waves(power, config.representation) if sound else power

    generator_flops, _ = forward_flops(config, FRAMES)
    benchmark = wrap_callable(generate, batch, generator_flops, 4.0 * CLIP_SAMPLES if sound else _CLIP_BYTES)
    return replace(benchmark, audio_s=CLIP_SAMPLES / SAMPLE_RATE)


def step_flops(config: GanConfig) -> float:
    """Return the number of floating-point operations per clip of one update of both networks."""
    return adversarial_flops(config, *forward_flops(config, GanTask(config).inference.training_frames))


def forward_flops(config: GanConfig, frames: int) -> tuple[float, float]:
    """Return the number of floating-point operations of a forward pass of the generator and of the discriminator.

    For the paper's networks, only the multiplications and additions of convolutions count.

    Args:
      config: settings of the GAN, with the genres and the statistics filled in.
      frames: number of frames of a clip; 431 for the paper's networks.
    """
    if config.approach != "residual":
        return paper_flops(config.approach)
    inference = GanTask(config).inference
    generator, discriminator = jax.eval_shape(inference.init, jax.random.key(0))
    latents = inference.draw_latents(jax.random.key(0)[None], frames)
    values, shares = jnp.zeros((1, MELS, frames)), jnp.zeros((1, inference.genres))
    return (
        count_flops(partial(inference.generate, frames=frames), generator, latents, shares),
        count_flops(inference.score, discriminator, values, shares),
    )


def paper_flops(approach: Approach) -> tuple[float, float]:
    """Return the number of floating-point operations of a forward pass of the paper's networks for one clip.

    Args:
      approach: approach of the paper, see `paper_model`.

    Returns:
      The numbers of the generator and of the discriminator.
    """
    architecture = ARCHITECTURES[approach]
    sizes = [(1, 1), *(layer.size for layer in architecture.layers)]
    # Each pixel of the smaller map meets each weight of the kernel once.
    taps = [
        2.0 * math.prod(layer.kernel) * math.prod(size) for layer, size in zip(architecture.layers, sizes, strict=False)
    ]
    widths = [LATENT, *HIDDEN, architecture.channels]
    mirrored = [architecture.channels, *HIDDEN, 1]
    generator = sum(tap * a * b for tap, (a, b) in zip(taps, pairwise(widths), strict=True))
    discriminator = sum(tap * a * b for tap, (a, b) in zip(taps[::-1], pairwise(mirrored), strict=True))
    return generator, discriminator
