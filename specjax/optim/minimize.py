"""Finding the least of a function that is not a training: phase refinement, style transfer."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from specjax.arrays.batching import map_examples

Report = Callable[[int, float], None]
Loss = Callable[..., Float[Array, ""]]


class Solution(NamedTuple):
    """The best that each example met, its value, and the values before every step."""

    best: Any
    value: Float[np.ndarray, " examples"]
    history: Float[np.ndarray, "steps examples"]


class _Search(NamedTuple):
    """Where an example stands: the point, what L-BFGS remembers, the best point met and its value."""

    here: Any
    memory: Any
    best: Any
    least: Float[Array, "..."]


def minimize(
    loss: Loss,
    start: Any,
    *given: Any,
    steps: int = 100,
    chunk: int = 25,
    memory: int = 10,
    report: Report | None = None,
) -> Solution:
    """L-BFGS with a line search, for many examples that know nothing of each other, each its own best met on the way.

    Args:
      loss: of one example: `loss(x, *given)`; differentiable, jittable, hashable: an equal one is not compiled again.
      start, given: pytrees of float arrays, whose first axis is that of the examples.
      chunk: steps of one compiled call, after each of which `report(steps done, mean of the best values)` is called.
      memory: how many past steps the curvature is estimated from.

    Raises:
      ValueError: a number below 1, or a start whose loss is not finite, with the number of the first such example.
    """
    if min(steps, chunk, memory) < 1:
        raise ValueError(f"steps={steps}, chunk={chunk} and memory={memory} must be at least 1")
    # optax adds up steps and values of unlike types.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        search = _begun(loss, start, given, memory=memory)
        if (bad := np.flatnonzero(~np.isfinite(search.least))).size:
            raise ValueError(
                f"the loss at the start is {search.least[bad[0]]} in example {bad[0]} of {len(search.least)}"
            )
        history = []
        for done in range(0, steps, chunk):
            search, values = _advanced(loss, search, given, memory=memory, steps=min(chunk, steps - done))
            history.append(np.asarray(values))
            if report is not None:
                report(min(done + chunk, steps), float(jnp.mean(search.least)))
    return Solution(search.best, np.asarray(search.least), np.concatenate(history, axis=1).T)


@partial(jax.jit, static_argnames=("loss", "memory"))
def _begun(loss: Loss, start: Any, given: tuple[Any, ...], *, memory: int) -> _Search:
    def of_one(x: Any, given: tuple[Any, ...]) -> _Search:
        return _Search(x, optax.lbfgs(memory_size=memory).init(x), x, loss(x, *given))

    return map_examples(of_one)(start, given)


@partial(jax.jit, static_argnames=("loss", "memory", "steps"))
def _advanced(
    loss: Loss, search: _Search, given: tuple[Any, ...], *, memory: int, steps: int
) -> tuple[_Search, Float[Array, "examples steps"]]:
    optimizer = optax.lbfgs(memory_size=memory)

    def of_one(search: _Search, given: tuple[Any, ...]) -> tuple[_Search, Float[Array, " steps"]]:
        at = partial(_at, loss, given)
        value_and_grad = optax.value_and_grad_from_state(at)

        def once(now: _Search, _: None) -> tuple[_Search, Float[Array, ""]]:
            value, slope = value_and_grad(now.here, state=now.memory)
            step, memory = optimizer.update(slope, now.memory, now.here, value=value, grad=slope, value_fn=at)
            here = optax.apply_updates(now.here, step)
            reached = optax.tree.get(memory, "value")  # known from the line search
            better = reached < now.least  # never so where it is not a number
            best = jax.tree.map(lambda new, old: jnp.where(better, new, old), here, now.best)
            return _Search(here, memory, best, jnp.where(better, reached, now.least)), value

        return jax.lax.scan(once, search, None, length=steps)

    return map_examples(of_one)(search, given)


def _at(loss: Loss, given: tuple[Any, ...], x: Any) -> Float[Array, ""]:
    return loss(x, *given)
