"""Benchmarks of the chord paper: target spectrograms, U-Net, training step and sound synthesis."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from specjax import papers
from specjax.arrays.batching import map_examples
from specjax.benchmark.timing import Benchmark, Info, compile_benchmark
from specjax.benchmark.training import benchmark_training
from specjax.cli.errors import UserError
from specjax.engine.config import TrainConfig
from specjax.engine.live.values import initial
from specjax.papers.chord import conditioning
from specjax.papers.chord.losses import mix
from specjax.papers.chord.model import UNetConfig
from specjax.papers.chord.task import ChordTask
from specjax.signal import oscillators

SOUND_RATE = 44100
MIXES = {
    "huber": mix(huber=1.0),
    "ms_ssim": mix(huber=1.0, ms_ssim=0.1),
    "fft": mix(huber=0.65, ms_ssim=0.34, fft=1e-4),
    "sobel": mix(huber=1.0, sobel=0.1),
    "waveform": mix(huber=1.0, waveform=0.1),
}
HEADS = {"paper": UNetConfig(), "rows": UNetConfig(head="rows", init="he")}

INFO = {
    "targets": Info(8, plain=("scipy", "chord_targets"), tuned=("chord_targets.py", "--variant", "fused", "--compile")),
    "forward": Info(8),
    "step": Info(0),
    "sound": Info(4, plain=("numpy", "chord_sound"), tuned=("chord_audio.py", "--sr", "44100", "--variant", "rotate")),
} | {f"step_{head}_{losses}": Info(2, default=False) for head in HEADS for losses in MIXES}
INFO["step_paper_ms_ssim"] = Info(
    2,
    plain=("pytorch", "chord_unet"),
    tuned=("unet_step.py", "--net", "authors", "--variant", "commuted", "--compile"),
)


def build(name: str, config: Mapping[str, Any], batch: int) -> Benchmark:
    """Build a benchmark that is ready to be timed.

    Args:
      name: name of the benchmark, a key of `INFO`.
      config: values of a config whose task is `chord/unet`.
      batch: number of items per call, at least 1. Benchmarks of training steps take the number of examples per update
        instead; 0 means the batch size of the config.

    Raises:
      UserError: the config belongs to another task.
    """
    train_config, task = papers.build(config)
    if not isinstance(task, ChordTask):
        raise UserError(f"config.task={task.name!r} has no benchmark {name!r}, expected a config of 'chord/unet'")
    if name == "targets":
        return targets(task, batch)
    if name == "forward":
        return forward(task, batch)
    if name == "sound":
        return sound(task, batch)
    if name != "step":
        _, head, losses = name.split("_", 2)
        task = ChordTask(replace(task.config, model=HEADS[head], loss=MIXES[losses], columns=0, qualities=("major",)))
        train_config = replace(train_config, steps_per_dispatch=1)
    return step(task, replace(train_config, batch_size=batch or train_config.batch_size))


def targets(task: ChordTask, batch: int) -> Benchmark:
    """Build a benchmark that computes the target spectrograms of a batch of digits.

    A target is the spectrogram that the network is trained to predict. It has `conditioning.size` rows and as many
    columns, and contains random noise.
    """
    config = task.config
    digit, label, quality = _load_digits(task, batch)
    make_targets = partial(conditioning.targets, task.inference.operators, config.conditioning)
    keys = jax.random.split(jax.random.key(0), batch)
    size, cells = config.conditioning.size, config.conditioning.noise_cells
    partials = task.inference.operators.spread.shape[-1]
    flops = 2.0 * size * size * (partials + 2 * (cells[1] + 1)) + 2.0 * size * 28 * partials
    return compile_benchmark(make_targets, (digit, label, quality, keys), batch, flops, 4.0 * size * size)


def forward(task: ChordTask, batch: int) -> Benchmark:
    """Build a benchmark of the forward pass of the U-Net for inference.

    The input is a batch of 28x28 digits. The output is one spectrogram per digit, with `conditioning.size` rows and as
    many columns.
    """
    digit, _, quality = _load_digits(task, batch)
    params = task.inference_params(task.init(jax.random.key(0)))
    size = task.config.conditioning.size
    flops = unet_flops(task.config.model, size, size)
    return compile_benchmark(task.inference.predict, (params, digit, quality), batch, flops, 4.0 * size * size)


def sound(task: ChordTask, batch: int) -> Benchmark:
    """Build a benchmark that synthesizes one second of sound at 44.1 kHz from each spectrogram.

    All values of the spectrograms are random. So no row is silent, and no time can be saved by skipping silent rows.
    """
    size = task.config.conditioning.size
    rng = np.random.default_rng(0)
    spectrograms = jnp.asarray(rng.random((batch, size, size)), jnp.float32)
    phases = jnp.asarray(rng.uniform(0, 2 * np.pi, (batch, size)), jnp.float32)
    increment = jnp.asarray(oscillators.phase_increment(np.arange(size, dtype=float), SOUND_RATE))
    synthesize = map_examples(lambda a, p: oscillators.additive_synthesis(a, increment, p, SOUND_RATE))
    # Each sample of the sound takes a sum over rows of sines and one of cosines.
    benchmark = compile_benchmark(
        synthesize, (spectrograms, phases), batch, 2.0 * SOUND_RATE * size * 2, 4.0 * (size * size + SOUND_RATE)
    )
    return replace(benchmark, audio_s=1.0)


def step(task: ChordTask, train_config: TrainConfig) -> Benchmark:
    """Build a benchmark of one call to the compiled function that training calls repeatedly.

    An update includes the shuffling and the augmentation of the digits, their target spectrograms, and the gradients.
    """
    config = task.config
    size, columns = config.conditioning.size, config.columns or config.conditioning.size
    flops = 3 * unet_flops(config.model, size, columns)
    if "loss.ms_ssim" in initial(task.live_values(train_config.steps)):
        flops += ms_ssim_flops(size, columns)
    # The target is written once and read by the loss.
    return benchmark_training(task, train_config, task.load(), flops, 8.0 * size * columns)


def _load_digits(task: ChordTask, batch: int) -> tuple[Array, Array, Array]:
    train = task.load().train
    rows = np.arange(batch) % len(train.label)
    digit = jnp.asarray(train.image[rows], jnp.float32) / 255.0
    return digit, jnp.asarray(train.label[rows]), jnp.zeros((batch,), jnp.int32)


def unet_flops(config: UNetConfig, size: int, columns: int) -> float:
    """Return the number of floating-point operations of one forward pass of the U-Net for one digit.

    Args:
      config: architecture of the network.
      size: number of rows of the spectrogram.
      columns: number of columns of the spectrogram.
    """
    fine, middle, coarse = config.widths
    pixels = {"fine": 28 * 28, "middle": 14 * 14, "coarse": 7 * 7}

    def count_convs(first: int, width: int, depth: int, level: str) -> float:
        channels = [first, *[width] * depth]
        return sum(2.0 * 9 * a * b * pixels[level] for a, b in pairwise(channels))

    concatenated = 2 if config.skips else 1
    total = count_convs(1, fine, config.depth, "fine") + count_convs(fine, middle, config.depth, "middle")
    total += count_convs(middle, coarse, config.bottleneck_depth, "coarse")
    # A 4x4 transposed convolution of stride 2 has sixteen taps for each input pixel.
    total += 2.0 * 16 * (coarse * middle * pixels["coarse"] + middle * fine * pixels["middle"])
    decode_middle = count_convs(concatenated * middle, middle, config.depth, "middle")
    total += decode_middle + count_convs(concatenated * fine, fine, config.depth, "fine")
    if config.head == "paper":
        total += 2.0 * (9 * fine * pixels["fine"] + size * 84 * 84 + size * 84 * columns)
    else:
        c = config.head_channels
        total += 2.0 * (fine * c * pixels["fine"] + size * 28 * c * 28 + size * 28 * columns)
    return total


def ms_ssim_flops(size: int, columns: int, scales: int = 5) -> float:
    """Return the number of floating-point operations of MS-SSIM and its gradient for two `size` x `columns` images.

    Only the filters with a sliding window are counted. At each scale there are eight: five in the forward pass, and
    three in the gradient. Each is separable, with 11 taps along rows and 11 along columns.

    Args:
      size: number of rows of the images.
      columns: number of columns of the images.
      scales: number of scales. Each scale halves the rows and the columns.
    """
    pixels = sum(size * columns / 4**scale for scale in range(scales))
    return pixels * 8 * 2 * 2 * 11
