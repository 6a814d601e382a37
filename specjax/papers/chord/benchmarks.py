"""The works of the chord wing, compiled and ready to be timed."""

import time
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
from specjax.benchmark.timing import Benchmark, Info, compile_benchmark, compiler_cost
from specjax.engine import loop
from specjax.engine import sharding as mesh
from specjax.engine.config import TrainConfig
from specjax.engine.live.values import LiveValues
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
    """The benchmark called `name` for a chord config, of `batch` items a call."""
    train_config, task = papers.build(config)
    assert isinstance(task, ChordTask)
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
    """Whole conditioned targets from digits and labels, section 2 of the paper."""
    config = task.config
    digit, label, quality = _digits(task, batch)
    make = partial(conditioning.targets, task.inference.operators, config.conditioning)
    keys = jax.random.split(jax.random.key(0), batch)
    size, cells = config.conditioning.size, config.conditioning.noise_cells
    partials = task.inference.operators.spread.shape[-1]
    flops = 2.0 * size * size * (partials + 2 * (cells[1] + 1)) + 2.0 * size * 28 * partials
    return compile_benchmark(make, (digit, label, quality, keys), batch, flops, 4.0 * size * size)


def forward(task: ChordTask, batch: int) -> Benchmark:
    """Whole pictures from digits."""
    digit, _, quality = _digits(task, batch)
    params = task.inference_params(task.init(jax.random.key(0)))
    size = task.config.conditioning.size
    flops = unet_flops(task.config.model, size, size)
    return compile_benchmark(task.inference.predict, (params, digit, quality), batch, flops, 4.0 * size * size)


def sound(task: ChordTask, batch: int) -> Benchmark:
    """One second at 44.1 kHz of dense pictures, a random phase a row: no row may be skipped."""
    size = task.config.conditioning.size
    rng = np.random.default_rng(0)
    pictures = jnp.asarray(rng.random((batch, size, size)), jnp.float32)
    phases = jnp.asarray(rng.uniform(0, 2 * np.pi, (batch, size)), jnp.float32)
    increment = jnp.asarray(oscillators.phase_increment(np.arange(size, dtype=float), SOUND_RATE))
    make = map_examples(lambda a, p: oscillators.additive_synthesis(a, increment, p, SOUND_RATE))
    # At every border a sum over rows of sines and one of cosines, for each sample of a frame.
    benchmark = compile_benchmark(
        make, (pictures, phases), batch, 2.0 * SOUND_RATE * size * 2, 4.0 * (size * size + SOUND_RATE)
    )
    return replace(benchmark, audio_s=1.0)


def step(task: ChordTask, train_config: TrainConfig) -> Benchmark:
    """A training step as the engine dispatches it: order, augmentation, targets, gradients, update."""
    device_mesh = mesh.make_mesh()
    mesh.check_batch(device_mesh, train_config.batch_size)
    count = train_config.steps_per_dispatch or (1 if jax.default_backend() == "cpu" else 32)
    examples = mesh.replicate(task.load()[0], device_mesh)
    knobs = LiveValues(task.live_values, device_mesh)(0, count)
    init = jax.jit(lambda key: loop.Run(jnp.zeros((), jnp.int32), task.init(key)),
                   out_shardings=mesh.replicated_sharding(device_mesh))  # fmt: skip
    held = [init(jax.random.key(0))]
    begin = time.perf_counter()
    dispatch = loop.compile_dispatch(task, train_config, device_mesh, held[0], examples, knobs)
    compile_s = time.perf_counter() - begin

    def call() -> Any:
        held[0], metrics = dispatch(held[0], examples, knobs)  # the state's buffers are donated
        return metrics

    config, items = task.config, train_config.batch_size * count
    size, columns = config.conditioning.size, config.columns or config.conditioning.size
    flops = 3 * unet_flops(config.model, size, columns)
    if "loss.ms_ssim" in knobs:
        flops += ms_ssim_flops(size, columns)
    parameters = sum(x.size for x in jax.tree.leaves(held[0].state.params))
    # The target is written once and read by the loss; the state is read and written once an update.
    moved = items * 8.0 * size * columns + count * 32.0 * parameters
    return Benchmark(call, items, compile_s, items * flops, moved, *compiler_cost(dispatch))


def _digits(task: ChordTask, batch: int) -> tuple[Array, Array, Array]:
    train, _ = task.load()
    rows = np.arange(batch) % len(train.label)
    digit = jnp.asarray(train.image[rows], jnp.float32) / 255.0
    return digit, jnp.asarray(train.label[rows]), jnp.zeros((batch,), jnp.int32)


def unet_flops(config: UNetConfig, size: int, columns: int) -> float:
    """Operations of one forward pass of the U-Net for one digit."""
    fine, middle, coarse = config.widths
    places = {"fine": 28 * 28, "middle": 14 * 14, "coarse": 7 * 7}

    def convs(first: int, width: int, depth: int, level: str) -> float:
        channels = [first, *[width] * depth]
        return sum(2.0 * 9 * a * b * places[level] for a, b in pairwise(channels))

    joined = 2 if config.skips else 1
    total = convs(1, fine, config.depth, "fine") + convs(fine, middle, config.depth, "middle")
    total += convs(middle, coarse, config.bottleneck_depth, "coarse")
    # A doubling 4x4 transposed convolution: sixteen taps for each place it reads.
    total += 2.0 * 16 * (coarse * middle * places["coarse"] + middle * fine * places["middle"])
    total += convs(joined * middle, middle, config.depth, "middle") + convs(joined * fine, fine, config.depth, "fine")
    if config.head == "paper":
        total += 2.0 * (9 * fine * places["fine"] + size * 84 * 84 + size * 84 * columns)
    else:
        c = config.head_channels
        total += 2.0 * (fine * c * places["fine"] + size * 28 * c * 28 + size * 28 * columns)
    return total


def ms_ssim_flops(size: int, columns: int, scales: int = 5) -> float:
    """Operations of MS-SSIM and its gradient: five filterings of 11 + 11 taps forward, three back, at each scale."""
    pixels = sum(size * columns / 4**scale for scale in range(scales))
    return pixels * 8 * 2 * 2 * 11
