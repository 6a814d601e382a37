"""Style transfer for a batch of sounds: normalization of levels, interruptible optimization, loudness of the result."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.optim.minimization import Solution, minimize_until_interrupted
from specjax.papers.texture.style.method import Method, Problem
from specjax.papers.texture.style.source import LEVEL, Blocks, Style

StepReport = Callable[[int, int, float], None]
Contents = Float[np.ndarray, "pairs channels samples"]


class Transferred(NamedTuple):
    """Result of a style transfer.

    Attributes:
      waves: results with the lengths and the loudness (root mean square over all channels) of the contents.
      history: loss of each pair and channel before each completed step, shape `(steps, pairs * channels)`.
      interrupted: whether Ctrl-C ended the optimization before the last step.
    """

    waves: Contents
    history: Float[np.ndarray, "steps examples"]
    interrupted: bool


def transfer(
    contents: Contents,
    styles: Sequence[Blocks],
    method: Method,
    *,
    chunk: int = 10,
    report: StepReport | None = None,
) -> Transferred:
    """Give each content the style of another sound.

    The channels of a content are transferred independently of each other, and share one gain. Channels that are silent
    stay silent. Contents and styles are first scaled to a common level, so their levels have no influence, except that
    the result is as loud as the content.

    Ctrl-C (`KeyboardInterrupt`) ends the optimization after its first chunk of steps: the best result so far is
    returned.

    Args:
      contents: at the sample rate of the method.
      styles: for each pair, the consecutive blocks of a mono wave at the sample rate of the method, such as `[wave]` or
        a `SoundFile`. They may have any length: they are read in pieces.
      method: method of style transfer and its settings.
      chunk: number of steps from one report to the next.
      report: progress callback, called as `report(steps_done, total_steps, mean_loss)`.

    Raises:
      ValueError: the numbers of contents and styles differ; a content or style is too short for the method, silent or
        not finite.
    """
    pairs, channels, samples = contents.shape
    if len(styles) != pairs:
        raise ValueError(f"{pairs} contents and {len(styles)} styles, expected one style for each content")
    if samples < method.min_samples:
        raise ValueError(
            f"the content has {samples} samples, expected at least {method.min_samples}: use a longer content"
        )
    level = _rms(contents)
    if not np.all(np.isfinite(level) & (level > 0)):
        raise ValueError("a content is silent or not finite, expected an audible sound: choose another content")
    measured = [Style.measure(blocks, method.min_samples) for blocks in styles]
    scaled = (contents * (LEVEL / level)).astype(np.float32).reshape(pairs * channels, samples)
    problem = method.pose(jnp.asarray(scaled), [style for style in measured for _ in range(channels)])
    solution, interrupted = _solve(problem, method, chunk, report)
    waves = np.asarray(problem.to_waves(solution.best)).reshape(contents.shape)
    waves = np.where(np.any(contents, axis=-1, keepdims=True), waves, 0)
    gain = level / np.maximum(_rms(waves), 1e-30)
    return Transferred((waves * gain).astype(np.float32), solution.history, interrupted)


def _solve(problem: Problem, method: Method, chunk: int, report: StepReport | None) -> tuple[Solution, bool]:
    """Solve an optimization problem, and return the solution and whether Ctrl-C ended it early."""
    return minimize_until_interrupted(
        problem.loss,
        problem.start,
        *problem.args,
        shared=problem.shared,
        steps=method.steps,
        chunk=chunk,
        optimizer=method.optimizer,
        report=None if report is None else lambda done, loss: report(done, method.steps, loss),
    )


def _rms(waves: Contents) -> Float[np.ndarray, "pairs 1 1"]:
    return np.sqrt(np.mean(np.square(waves, dtype=np.float64), axis=(1, 2), keepdims=True))
