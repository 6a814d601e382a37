"""Benchmarks of the mvnet paper: updates of the encoder and of both networks of the GAN, and painting."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from specjax import papers
from specjax.benchmark.timing import Benchmark, Info, compile_benchmark, count_flops
from specjax.benchmark.training import adversarial_flops, benchmark_training
from specjax.cli.errors import UserError
from specjax.engine.config import TrainConfig
from specjax.engine.task import Data
from specjax.papers.mvnet.config import GanConfig
from specjax.papers.mvnet.dataset import ERAS, PICTURE_SIZE, Museum, MuseumConfig
from specjax.papers.mvnet.encoder import EncoderConfig, EncoderInference
from specjax.papers.mvnet.encoder_task import Clips, EncoderTask
from specjax.papers.mvnet.inference import GanInference, OpenEncoder
from specjax.papers.mvnet.representation import FRAMES, MELS, THIRDS, Representation, Statistics
from specjax.papers.mvnet.task import Gallery, GanTask
from specjax.papers.mvnet.triplets import TripletConfig

_WORKS = 12  # random clips, and random pictures, of each era
_EMBEDDING = 10
_CLIP_BYTES = 4.0 * MELS * FRAMES * THIRDS
_PICTURE_BYTES = 4.0 * PICTURE_SIZE**2 * 3
_NOISE = Representation("log", statistics=Statistics((0.0,) * MELS, (1.0,) * MELS))
_ENCODER = EncoderConfig(data=MuseumConfig(eras=ERAS, representation=_NOISE), triplets=TripletConfig("random"))
_PAPER = GanConfig(approach="paper")
_TUNED = ("--layout", "nhwc")

INFO = {
    "encoder_step": Info(1, plain=("pytorch", "mvnet_encoder"), tuned=("mvnet_encoder_step.py", *_TUNED)),
    "encoder_step_8": Info(8, plain=("pytorch", "mvnet_encoder"), tuned=("mvnet_encoder_step.py", *_TUNED)),
    "cdcgan_step": Info(15, plain=("pytorch", "mvnet_gan"), tuned=("mvnet_gan_step.py", "--variant", "tuned", *_TUNED)),
    "painting_step": Info(0),
    "painting": Info(30),
}


def build(name: str, config: Mapping[str, Any], batch: int) -> Benchmark:
    """Build a benchmark that is ready to be timed. Music and pictures are random noise, so no data set is read.

    Args:
      name: key of `INFO`. The benchmarks `encoder_step`, `encoder_step_8` and `cdcgan_step` train the paper's networks;
        the first two have another batch. The others use the networks of the config.
      config: values of a config whose task is `mvnet/cdcgan`.
      batch: number of triplets or pictures per call. 0 means the batch size of the config.

    Raises:
      UserError: the config belongs to another task.
    """
    train_config, task = papers.build(config)
    if not isinstance(task, GanTask):
        raise UserError(f"config.task={task.name!r} has no benchmark {name!r}, expected a config of 'mvnet/cdcgan'")
    train_config = replace(train_config, batch_size=batch or train_config.batch_size)
    if name.startswith("encoder_step"):
        return encoder_step(train_config)
    if name == "painting":
        return painting(task.config, batch)
    return gan_step(_PAPER if name == "cdcgan_step" else replace(task.config, judge=""), train_config)


def encoder_step(train_config: TrainConfig, config: EncoderConfig = _ENCODER) -> Benchmark:
    """Build a benchmark of an update of the encoder on random triplets; times are per triplet."""
    count, rng = _WORKS * len(ERAS), np.random.default_rng(0)
    mel = rng.normal(size=(count, MELS, FRAMES, THIRDS)).astype(np.float32)
    clips = Clips(mel, _label(), np.arange(count, dtype=np.int32), np.zeros(count, bool))
    task = EncoderTask(config)
    variables = jax.eval_shape(task.inference.init, jax.random.key(0))
    forward = count_flops(task.inference.embed, variables, jnp.zeros((1, MELS, FRAMES, THIRDS)))
    # A backward pass counts as two forward passes. Each of the three clips is read once.
    data = Data(clips, clips, count, count)
    return benchmark_training(task, train_config, data, 9 * forward, 3 * _CLIP_BYTES)


@dataclass(frozen=True)
class _WithoutEncoder(GanTask):
    """Task with precomputed conditions, which needs no trained encoder."""

    @cached_property
    def encoder(self) -> OpenEncoder:
        inference = EncoderInference(replace(_ENCODER, widths=(4,)))
        return OpenEncoder(inference, jax.device_get(jax.jit(inference.init)(jax.random.key(0))))


def gan_step(config: GanConfig, train_config: TrainConfig) -> Benchmark:
    """Build a benchmark of an update of the discriminator, then of the generator; times are per picture.

    Args:
      config: settings of the GAN. The clips are embedded beforehand, as in training.
      train_config: training settings.
    """
    config = replace(config, data=replace(config.data, eras=ERAS))
    task, museum, rng = _WithoutEncoder(config), _museum(), np.random.default_rng(0)
    count = len(museum.pairs)
    size = config.condition.size(_EMBEDDING)
    gallery = Gallery(museum, rng.normal(size=(count, size)).astype(np.float32), np.ones(count, np.float32))
    data = Data(gallery, gallery, 2 * count, count)
    # A real picture and two generated ones are written once and read once.
    return benchmark_training(task, train_config, data, _step_flops(task), 6 * _PICTURE_BYTES)


def painting(config: GanConfig, batch: int) -> Benchmark:
    """Build a benchmark that generates pictures from latent vectors and conditions.

    Args:
      config: settings of the GAN.
      batch: number of pictures per call.
    """
    size = config.condition.size(_EMBEDDING)
    inference = GanInference(config, size)
    variables = jax.jit(inference.init_generator)(jax.random.key(0))
    latents = inference.draw_latents(jax.random.split(jax.random.key(1), batch))
    condition = jax.random.normal(jax.random.key(2), (batch, size))
    flops = count_flops(inference.generate, variables, latents[:1], condition[:1])
    return compile_benchmark(inference.generate, (variables, latents, condition), batch, flops, _PICTURE_BYTES)


def _step_flops(task: GanTask) -> float:
    """Return the number of floating-point operations per picture of one update of both networks."""
    inference, condition = task.inference, jnp.zeros((1, task.inference.conditions))
    generator, discriminator = jax.eval_shape(inference.init, jax.random.key(0))
    latents, picture = inference.draw_latents(jax.random.key(0)[None]), jnp.zeros((1, PICTURE_SIZE, PICTURE_SIZE, 3))
    return adversarial_flops(
        task.config,
        count_flops(inference.generate, generator, latents, condition),
        count_flops(inference.score, discriminator, picture, condition),
    )


def _museum() -> Museum:
    """Create a data set of random pictures, each paired with one clip, without spectrograms."""
    era, rng = _label(), np.random.default_rng(1)
    number = np.arange(len(era), dtype=np.int32)
    return Museum(
        np.zeros((0, MELS, FRAMES, THIRDS), np.float32),
        era,
        number,
        rng.integers(0, 256, (len(era), PICTURE_SIZE, PICTURE_SIZE, 3), np.uint8),
        era,
        np.stack([number, number], axis=1),
    )


def _label() -> np.ndarray:
    return np.repeat(np.arange(len(ERAS), dtype=np.int32), _WORKS)
