"""Benchmarks of the texture paper's networks: a training step of the classifier, an iteration of style transfer."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from specjax.arrays.batching import map_examples
from specjax.benchmark.timing import Benchmark, Info, compile_benchmark, wrap_callable
from specjax.engine.live.values import initial
from specjax.papers.texture.config import ClassifierConfig
from specjax.papers.texture.data import SoundsConfig
from specjax.papers.texture.style.networks import gram, random_kernel
from specjax.papers.texture.style.ulyanov import UlyanovLoss, random_features
from specjax.papers.texture.task import Batch, ClassifierTask

CLASSES = 50
FILTERS, WIDTH = 4096, 11

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


def build(name: str, batch: int) -> Benchmark:
    """Build a benchmark that is ready to be timed.

    Args:
      name: key of `INFO`.
      batch: number of spectrograms per call.
    """
    return classifier_step(batch) if name == "classifier_step" else style_iteration(batch)


def classifier_step(batch: int) -> Benchmark:
    """Build a benchmark that trains the paper's network, with kernels of 11 frames, on a batch of spectrograms."""
    config = ClassifierConfig(data=SoundsConfig(classes=tuple(map(str, range(CLASSES)))))
    task = ClassifierTask(replace(config, model=replace(config.model, kernel_frames=WIDTH)))
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

    first, second = config.model.widths
    # Forward pass and gradients of the kernels; the first convolution needs no gradient of its input.
    flops = 2.0 * WIDTH * (2 * frames * rows * first + 3 * frames // 2 * first * second)
    return wrap_callable(call, batch, flops, 4.0 * rows * frames)


def style_iteration(batch: int) -> Benchmark:
    """Build a benchmark that computes loss and gradient of Ulyanov's form for spectrograms of 257 bins, 856 frames."""
    bins, frames = 257, 856
    keys = jax.random.split(jax.random.key(0), 3)
    kernel = random_kernel(keys[0], WIDTH, bins, FILTERS)
    x, style = (jnp.log1p(jnp.abs(jax.random.normal(key, (batch, frames, bins)))) for key in keys[1:])
    content = map_examples(lambda y: random_features(y, kernel))(x)
    target = map_examples(lambda y: gram(random_features(y, kernel)) / (frames - WIDTH + 1))(style)
    loss = UlyanovLoss(1e-2)

    def iterate(x: jax.Array, content: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
        return map_examples(lambda *one: jax.value_and_grad(loss)(*one, kernel))(x, content, target)

    out_frames = frames - WIDTH + 1
    # Two convolutions (forward, gradient of the input), the Gram matrix and one product for its gradient.
    flops = 2.0 * out_frames * FILTERS * (2 * WIDTH * bins + 2 * FILTERS)
    return compile_benchmark(iterate, (x, content, target), batch, flops, 4.0 * (2 * frames * bins + FILTERS**2))
