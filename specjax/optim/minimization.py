"""Gradient-based minimization of a function without training a network, for phase refinement or style transfer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from specjax.arrays.batching import map_examples

StepCallback = Callable[[int, float], None]
Loss = Callable[..., Float[Array, ""]]

LBFGS = optax.lbfgs(memory_size=10)  # shared: `jax.jit` compiles anew for every new optimizer object


class Solution(NamedTuple):
    """Result of minimizing a loss function for several examples, independently of each other.

    Attributes:
      best: for each example, the point with the lowest loss that was reached: a pytree like the starting points, with
        the examples along the leading axis.
      value: loss of each example at its point in `best`.
      history: array of shape (steps, examples): loss of each example before each step.
    """

    best: Any
    value: Float[np.ndarray, " examples"]
    history: Float[np.ndarray, "steps examples"]


class _SearchState(NamedTuple):
    """State of the minimization of one example.

    Attributes:
      point: current point.
      optimizer_state: state of the optax optimizer.
      best: point with the lowest loss so far.
      best_value: loss at `best`.
    """

    point: Any
    optimizer_state: Any
    best: Any
    best_value: Float[Array, "..."]


def minimize(
    loss: Loss,
    start: Any,
    *args: Any,
    shared: tuple[Any, ...] = (),
    steps: int = 100,
    chunk: int = 25,
    optimizer: optax.GradientTransformation = LBFGS,
    report: StepCallback | None = None,
) -> Solution:
    """Minimize a loss function for many independent examples at once, from a starting point for each.

    Args:
      loss: loss of one example, called as `loss(x, *args, *shared)` with the point `x`, the arguments of that example
        and the arguments that all examples share. It is traced and differentiated by JAX, and must be hashable. Calls
        with an equal `loss` reuse the compiled program.
      start: starting points: a pytree of float arrays whose leading axis is the examples.
      args: further arguments of `loss`: pytrees of float arrays whose leading axis is the examples.
      shared: last arguments of `loss`: pytrees of arrays that are the same for all examples, such as network weights.
      steps: number of optimizer steps.
      chunk: number of steps per compiled call.
      optimizer: optax optimizer; the default is L-BFGS with a line search. Create it once and reuse it in all calls:
        JAX compiles the program again for every new optimizer object.
      report: called after each chunk as `report(steps_done, mean_loss)`, where `mean_loss` is the mean over the
        examples of the lowest loss so far.

    Returns:
      For each example, the point with the lowest loss among the start and the points after each step, and the loss at
      this point. Also the loss before each step.

    Raises:
      ValueError: `steps` or `chunk` is below 1; the loss of an example at its starting point is not finite.
    """
    for solution in improve(loss, start, *args, shared=shared, steps=steps, chunk=chunk, optimizer=optimizer):
        if report is not None:
            report(len(solution.history), float(np.mean(solution.value)))
    return solution


def minimize_until_interrupted(
    loss: Loss,
    start: Any,
    *args: Any,
    shared: tuple[Any, ...] = (),
    steps: int = 100,
    chunk: int = 25,
    optimizer: optax.GradientTransformation = LBFGS,
    report: StepCallback | None = None,
) -> tuple[Solution, bool]:
    """Minimize as `minimize` does, until Ctrl-C or the last step. Return the solution, and whether Ctrl-C came first.

    The arguments and errors are those of `minimize`.

    Raises:
      KeyboardInterrupt: Ctrl-C came before the first chunk of steps was done.
    """
    solution = None
    try:
        for solution in improve(loss, start, *args, shared=shared, steps=steps, chunk=chunk, optimizer=optimizer):
            if report is not None:
                report(len(solution.history), float(np.mean(solution.value)))
    except KeyboardInterrupt:
        if solution is None:
            raise
        return solution, True
    assert solution is not None  # there is at least one step
    return solution, False


def improve(
    loss: Loss,
    start: Any,
    *args: Any,
    shared: tuple[Any, ...] = (),
    steps: int = 100,
    chunk: int = 25,
    optimizer: optax.GradientTransformation = LBFGS,
) -> Iterator[Solution]:
    """Minimize as `minimize` does, and yield the solution so far after each chunk of steps.

    The caller may stop at any time and keep the last solution. The arguments and errors are those of `minimize`.
    """
    if min(steps, chunk) < 1:
        raise ValueError(f"steps={steps} and chunk={chunk} must be at least 1")
    with _optax_promotion():
        state = _init_state(loss, start, args, shared, optimizer=optimizer)
    if (bad := np.flatnonzero(~np.isfinite(state.best_value))).size:
        raise ValueError(
            f"the loss at the start is {state.best_value[bad[0]]} in example {bad[0]} of {len(state.best_value)}: "
            "start from a point where it is finite"
        )
    history: list[np.ndarray] = []
    for done in range(0, steps, chunk):
        with _optax_promotion():
            state, values = _run_steps(loss, state, args, shared, optimizer=optimizer, steps=min(chunk, steps - done))
        history.append(np.asarray(values))
        yield Solution(state.best, np.asarray(state.best_value), np.concatenate(history, axis=1).T)


@contextmanager
def _optax_promotion() -> Iterator[None]:
    """Allow implicit promotion: optax adds arrays of different dtypes and ranks."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@partial(jax.jit, static_argnames=("loss", "optimizer"))
def _init_state(
    loss: Loss, start: Any, args: tuple[Any, ...], shared: tuple[Any, ...], *, optimizer: optax.GradientTransformation
) -> _SearchState:
    def init_example(x: Any, args: tuple[Any, ...]) -> _SearchState:
        return _SearchState(x, optimizer.init(x), x, loss(x, *args, *shared))

    return map_examples(init_example)(start, args)


@partial(jax.jit, static_argnames=("loss", "optimizer", "steps"))
def _run_steps(
    loss: Loss,
    state: _SearchState,
    args: tuple[Any, ...],
    shared: tuple[Any, ...],
    *,
    optimizer: optax.GradientTransformation,
    steps: int,
) -> tuple[_SearchState, Float[Array, "examples steps"]]:
    update_with_extras = optax.with_extra_args_support(optimizer).update

    def run_example(state: _SearchState, args: tuple[Any, ...]) -> tuple[_SearchState, Float[Array, " steps"]]:
        loss_at = partial(_evaluate_loss, loss, (*args, *shared))
        # A line search stores the loss and the gradient at the new point in the optimizer state.
        has_line_search = optax.tree.get(state.optimizer_state, "value") is not None
        from_state = optax.value_and_grad_from_state(loss_at)

        def step(state: _SearchState, _: None) -> tuple[_SearchState, Float[Array, ""]]:
            if has_line_search:
                value, grad = from_state(state.point, state=state.optimizer_state)
            else:
                value, grad = jax.value_and_grad(loss_at)(state.point)
                state = _keep_best(state, state.point, value)
            update, optimizer_state = update_with_extras(
                grad, state.optimizer_state, state.point, value=value, grad=grad, value_fn=loss_at
            )
            state = state._replace(point=optax.apply_updates(state.point, update), optimizer_state=optimizer_state)
            if has_line_search:
                state = _keep_best(state, state.point, optax.tree.get(optimizer_state, "value"))
            return state, value

        state, values = jax.lax.scan(step, state, None, length=steps)
        return (state if has_line_search else _keep_best(state, state.point, loss_at(state.point))), values

    return map_examples(run_example)(state, args)


def _evaluate_loss(loss: Loss, args: tuple[Any, ...], x: Any) -> Float[Array, ""]:
    return loss(x, *args)


def _keep_best(state: _SearchState, point: Any, value: Float[Array, ""]) -> _SearchState:
    better = value < state.best_value  # False if the loss is NaN
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), point, state.best)
    return state._replace(best=best, best_value=jnp.where(better, value, state.best_value))
