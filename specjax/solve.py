"""Finding the least of a function that is not a training: phase refinement, style transfer."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

Report = Callable[[int, float], None]


class Solution(NamedTuple):
    """The best that was met, its value, and the values before every step."""

    best: Any
    value: float
    history: Float[np.ndarray, " steps"]


def minimise(
    loss: Callable[[Any], Float[Array, ""]],
    start: Any,
    *,
    steps: int = 100,
    chunk: int = 25,
    memory: int = 10,
    report: Report | None = None,
) -> Solution:
    """L-BFGS with a line search, so many steps in one compiled call; what is returned is the best met on the way.

    Args:
      loss: of a pytree of float arrays; differentiable, and jittable.
      chunk: steps of one call, after each of which `report(steps done, best value)` is called.
      memory: how many past steps tell of the curvature.

    Raises:
      ValueError: a number below 1, or a start whose loss is not finite.
    """
    if min(steps, chunk, memory) < 1:
        raise ValueError(f"steps={steps}, chunk={chunk} and memory={memory} must be at least 1")
    # optax adds up steps and values of unlike types.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        optimiser = optax.lbfgs(memory_size=memory)
        first = float(jax.jit(loss)(start))
        if not np.isfinite(first):
            raise ValueError(f"the loss at the start is {first}")
        run = jax.jit(partial(_steps, loss, optimiser), static_argnums=1)
        state = (start, optimiser.init(start), start, jnp.float32(first))
        history = []
        for done in range(0, steps, chunk):
            state, values = run(state, min(chunk, steps - done))
            history.append(np.asarray(values))
            if report is not None:
                report(min(done + chunk, steps), float(state[3]))
    return Solution(state[2], float(state[3]), np.concatenate(history))


def _steps(loss: Any, optimiser: Any, state: Any, count: int) -> tuple[Any, Float[Array, " count"]]:
    value_and_grad = optax.value_and_grad_from_state(loss)

    def once(state: Any, _: None) -> tuple[Any, Float[Array, ""]]:
        x, memory, best, least = state
        value, slope = value_and_grad(x, state=memory)
        step, memory = optimiser.update(slope, memory, x, value=value, grad=slope, value_fn=loss)
        x = optax.apply_updates(x, step)
        reached = loss(x)
        better = reached < least  # never so where it is not a number
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), x, best)
        return (x, memory, best, jnp.where(better, reached, least)), value

    return jax.lax.scan(once, state, None, length=count)
