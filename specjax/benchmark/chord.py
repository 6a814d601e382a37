"""The works of the chord wing, compiled and ready to be timed."""

import time
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from specjax.batching import over_examples
from specjax.benchmark import floor
from specjax.benchmark.work import Work, compiled, compilers_count
from specjax.chord import conditioning
from specjax.chord.loss import mix
from specjax.chord.model import UNetConfig
from specjax.chord.task import ChordTask
from specjax.engine import loop, mesh
from specjax.engine.clock import TrainConfig
from specjax.engine.knobs import KnobValues
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


def build(name: str, clock: TrainConfig, task: ChordTask, batch: int) -> Work:
    """The work of that name, for `batch` items a call."""
    if name == "targets":
        return targets(task, batch)
    if name == "forward":
        return forward(task, batch)
    if name == "sound":
        return sound(task, batch)
    if name != "step":
        _, head, losses = name.split("_", 2)
        task = ChordTask(
            replace(task.config, model=HEADS[head], weights=MIXES[losses], columns=0, qualities=("major",))
        )
        clock = replace(clock, steps_per_dispatch=1)
    return step(task, replace(clock, batch_size=batch or clock.batch_size))


def targets(task: ChordTask, batch: int) -> Work:
    """Whole conditioned targets from digits and labels, section 2 of the paper."""
    config = task.config
    digit, label, quality = _digits(task, batch)
    make = partial(conditioning.targets, task.operators, config.conditioning)
    keys = jax.random.split(jax.random.key(0), batch)
    size, cells = config.conditioning.size, config.conditioning.noise_cells
    partials = task.operators.spread.shape[-1]
    flops = 2.0 * size * size * (partials + 2 * (cells[1] + 1)) + 2.0 * size * 28 * partials
    return compiled(make, (digit, label, quality, keys), batch, flops, 4.0 * size * size)


def forward(task: ChordTask, batch: int) -> Work:
    """Whole pictures from digits."""
    digit, _, quality = _digits(task, batch)
    params = task.painter(task.init(jax.random.key(0)))
    size = task.config.conditioning.size
    flops = floor.unet_flops(task.config.model, size, size)
    return compiled(task.paint, (params, digit, quality), batch, flops, 4.0 * size * size)


def sound(task: ChordTask, batch: int) -> Work:
    """One second at 44.1 kHz of dense pictures, a random phase a row: no row may be skipped."""
    size = task.config.conditioning.size
    rng = np.random.default_rng(0)
    pictures = jnp.asarray(rng.random((batch, size, size)), jnp.float32)
    phases = jnp.asarray(rng.uniform(0, 2 * np.pi, (batch, size)), jnp.float32)
    increment = jnp.asarray(oscillators.phase_increment(np.arange(size, dtype=float), SOUND_RATE))
    make = over_examples(lambda a, p: oscillators.additive_synthesis(a, increment, p, SOUND_RATE))
    # At every border a sum over rows of sines and one of cosines, for each sample of a frame.
    work = compiled(make, (pictures, phases), batch, 2.0 * SOUND_RATE * size * 2, 4.0 * (size * size + SOUND_RATE))
    return replace(work, audio_s=1.0)


def step(task: ChordTask, clock: TrainConfig) -> Work:
    """A training step as the engine dispatches it: order, augmentation, targets, gradients, update."""
    device_mesh = mesh.make_mesh()
    mesh.check_batch(device_mesh, clock.batch_size)
    count = clock.steps_per_dispatch or (1 if jax.default_backend() == "cpu" else 32)
    examples = mesh.replicate(task.load()[0], device_mesh)
    knobs = KnobValues(task.knobs, device_mesh)(0, count)
    init = jax.jit(lambda key: loop.Run(jnp.zeros((), jnp.int32), task.init(key)),
                   out_shardings=mesh.replicated(device_mesh))  # fmt: skip
    held = [init(jax.random.key(0))]
    begin = time.perf_counter()
    dispatch = loop.compile_dispatch(task, clock, device_mesh, held[0], examples, knobs)
    compile_s = time.perf_counter() - begin

    def call() -> Any:
        held[0], metrics = dispatch(held[0], examples, knobs)  # the state's buffers are donated
        return metrics

    config, items = task.config, clock.batch_size * count
    size, columns = config.conditioning.size, config.columns or config.conditioning.size
    flops = 3 * floor.unet_flops(config.model, size, columns)
    if "loss.ms_ssim" in knobs:
        flops += floor.ms_ssim_flops(size, columns)
    parameters = sum(x.size for x in jax.tree.leaves(held[0].state.params))
    # The target is written once and read by the loss; the state is read and written once an update.
    moved = items * 8.0 * size * columns + count * 32.0 * parameters
    return Work(call, items, compile_s, items * flops, moved, *compilers_count(dispatch))


def _digits(task: ChordTask, batch: int) -> tuple[Array, Array, Array]:
    train, _ = task.load()
    rows = np.arange(batch) % len(train.label)
    digit = jnp.asarray(train.image[rows], jnp.float32) / 255.0
    return digit, jnp.asarray(train.label[rows]), jnp.zeros((batch,), jnp.int32)
