"""Benchmarks of the texture paper's networks: a training step of the classifier, an iteration of style transfer."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from specjax.arrays.batching import map_examples
from specjax.benchmark.timing import Benchmark, Info, compile_benchmark, wrap_callable
from specjax.engine.live.values import initial
from specjax.papers.texture.config import ClassifierConfig
from specjax.papers.texture.data import SoundsConfig
from specjax.papers.texture.model import ModelConfig
from specjax.papers.texture.representation import Representation
from specjax.papers.texture.style.networks import FactoredGram, factor_gram, random_kernel
from specjax.papers.texture.style.ulyanov import UlyanovLoss, random_features
from specjax.papers.texture.task import Batch, ClassifierTask

CLASSES = 50
BINS, WIDTH = 257, 11


@dataclass(frozen=True)
class NetworkSizes:
    """Sizes of the networks in the benchmarks. The defaults are those of the paper and of Ulyanov's style transfer.

    Attributes:
      widths: number of channels of the two convolutions of the classifier.
      filters: number of filters of the style transfer.
      duration_s: duration of the sounds, in seconds; 5 s have 856 frames.
    """

    widths: tuple[int, ...] = (2048, 64)
    filters: int = 4096
    duration_s: float = 5.0


_STYLE = Info(1, plain=("pytorch", "texture_style"), tuned=("style_step.py", "--variant", "lbfgs", "--compile"))
INFO = {
    "classifier_step": Info(
        20,
        plain=("pytorch", "texture_classifier"),
        tuned=("esc50_step.py", "--variant", "conv2d", "--layout", "nhwc"),
    ),
    "style": _STYLE,
    "style_8": _STYLE._replace(batch=8),
}


def build(name: str, sizes: NetworkSizes, batch: int) -> Benchmark:
    """Build a benchmark that is ready to be timed.

    Args:
      name: key of `INFO`.
      sizes: sizes of the networks.
      batch: number of spectrograms per call.
    """
    return classifier_step(sizes, batch) if name == "classifier_step" else style_iteration(sizes, batch)


def classifier_step(sizes: NetworkSizes, batch: int) -> Benchmark:
    """Build a benchmark that trains the paper's network, with kernels of 11 frames, on a batch of spectrograms."""
    classes = tuple(map(str, range(CLASSES)))
    config = ClassifierConfig(
        data=SoundsConfig(classes=classes, duration_s=sizes.duration_s),
        model=ModelConfig(widths=sizes.widths, kernel_frames=WIDTH),
    )
    task = ClassifierTask(config)
    rows, frames = task.inference.levels_shape
    rng = np.random.default_rng(0)
    label, centroid = (np.eye(n)[rng.integers(n, size=batch)] for n in (CLASSES, config.model.centroid_classes))
    inputs = Batch(
        jnp.asarray(rng.uniform(size=(batch, rows, frames)), jnp.float32),
        jnp.asarray(label, jnp.float32),
        jnp.asarray(centroid, jnp.float32),
    )
    state, live = jax.jit(task.init)(jax.random.key(0)), initial(task.live_values(1))
    step = jax.jit(task.step, donate_argnums=0)

    def call() -> jax.Array:
        nonlocal state
        state, metrics = step(state, inputs, {}, live, jax.random.key(1))
        return metrics["loss"]

    first, second = sizes.widths
    # Forward pass and gradients of the kernels; the first convolution needs no gradient of its input.
    flops = 2.0 * WIDTH * (2 * frames * rows * first + 3 * frames // 2 * first * second)
    return wrap_callable(call, batch, flops, 4.0 * rows * frames)


def style_iteration(sizes: NetworkSizes, batch: int) -> Benchmark:
    """Build a benchmark that computes loss and gradient of Ulyanov's method for spectrograms of 257 bins."""
    representation = Representation()
    frames = representation.frames(round(sizes.duration_s * representation.sample_rate))
    out_frames = frames - WIDTH + 1
    keys = jax.random.split(jax.random.key(0), 3)
    kernel = random_kernel(keys[0], WIDTH, BINS, sizes.filters)
    x, style = (jnp.log1p(jnp.abs(jax.random.normal(key, (batch, frames, BINS)))) for key in keys[1:])
    content = map_examples(lambda y: random_features(y, kernel))(x)
    target = map_examples(lambda y: factor_gram(random_features(y, kernel), out_frames))(style)
    loss = UlyanovLoss(1e-2)

    def iterate(x: jax.Array, content: jax.Array, target: FactoredGram) -> tuple[jax.Array, jax.Array]:
        return map_examples(lambda *one: jax.value_and_grad(loss)(*one, kernel))(x, content, target)

    # Two convolutions (forward, gradient of the input), and products of the frames with each other and with those of
    # the style, with as many for their gradients.
    flops = 2.0 * out_frames * sizes.filters * (2 * WIDTH * BINS + 4 * out_frames)
    bytes_moved = 4.0 * 2 * (frames * BINS + out_frames * sizes.filters)
    return compile_benchmark(iterate, (x, content, target), batch, flops, bytes_moved)
