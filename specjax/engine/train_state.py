"""Training state of one network, and an update that never lets a non-finite value into it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

Tree = Any


class TrainState(NamedTuple):
    """Training state of one network.

    batch_stats: running statistics of its normalization layers; None for a network without any.
    ema_params: exponential moving average of `params`; None unless asked for.
    skipped: updates skipped so far because something in them was not finite.
    skipped_in_a_row: how many of the latest updates were skipped; 0 after a good one.
    nonfinite_leaf: index of the first gradient leaf that was not finite in the latest update; -1 if all were finite.
    """

    params: Tree
    batch_stats: Tree
    opt_state: optax.OptState
    ema_params: Tree
    skipped: Int[Array, "..."]
    skipped_in_a_row: Int[Array, "..."]
    nonfinite_leaf: Int[Array, "..."]


class Health(NamedTuple):
    """Counters of a `TrainState` that the engine watches; of an ensemble, with a leading axis of models."""

    skipped: Int[Array, "..."]
    skipped_in_a_row: Int[Array, "..."]
    nonfinite_leaf: Int[Array, "..."]


def create(
    params: Tree, transform: optax.GradientTransformation, batch_stats: Tree = None, *, ema: bool = False
) -> TrainState:
    """Create the training state of a network with initial parameters `params`.

    Args:
      transform: optimizer, whose state is initialized.
      batch_stats: initial running statistics of the normalization layers.
      ema: keep an exponential moving average of the parameters, which starts at `params`.
    """
    zero = jnp.zeros((), jnp.int32)
    ema_params = jax.tree.map(jnp.array, params) if ema else None  # a copy: buffers are donated one by one
    return TrainState(params, batch_stats, transform.init(params), ema_params, zero, zero, jnp.int32(-1))


def update(
    state: TrainState,
    gradients: Tree,
    transform: optax.GradientTransformation,
    loss: Float[Array, ""],
    *,
    batch_stats: Tree = None,
    ema_decay: Float[Array, ""] | None = None,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """Apply one optimizer step, or skip it if the loss, a gradient, the step or a statistic is not finite.

    A skipped update leaves parameters, statistics, optimizer state and moving average exactly as they were.

    Args:
      loss: passed to the transform as `value`, which `reduce_on_plateau` reads.
      batch_stats: new running statistics.
      ema_decay: decay of the moving average; needed if the state has one.

    Returns:
      The new state, and metrics: `grad_norm`, `param_norm` and `update_norm`.
    """
    with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
        transform = optax.with_extra_args_support(transform)
        updates, opt_state = transform.update(gradients, state.opt_state, state.params, value=loss)
    params = optax.apply_updates(state.params, updates)
    ema_params = state.ema_params
    if ema_params is not None:
        assert ema_decay is not None, "this state keeps a moving average: pass ema_decay"
        step_size = 1.0 - ema_decay
        ema_params = jax.tree.map(lambda a, p: a + step_size * (p - a), ema_params, params)
    grad_norm = optax.tree.norm(gradients)
    update_norm = optax.tree.norm(updates)
    finite = jnp.isfinite(loss) & jnp.isfinite(grad_norm) & jnp.isfinite(update_norm)
    finite &= jnp.isfinite(optax.tree.norm(batch_stats))
    params, batch_stats, opt_state, ema_params = _choose(
        finite,
        (params, batch_stats, opt_state, ema_params),
        (state.params, state.batch_stats, state.opt_state, state.ema_params),
    )
    skip = (~finite).astype(jnp.int32)
    new = TrainState(
        params,
        batch_stats,
        opt_state,
        ema_params,
        skipped=state.skipped + skip,
        skipped_in_a_row=(state.skipped_in_a_row + skip) * skip,
        nonfinite_leaf=_first_nonfinite_leaf(gradients),
    )
    return new, {"grad_norm": grad_norm, "param_norm": optax.tree.norm(new.params), "update_norm": update_norm}


def networks(state: Tree) -> dict[str, TrainState]:
    """Find every `TrainState` in a task's state, by its path; the path is "" if the state itself is one."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state, is_leaf=lambda x: isinstance(x, TrainState))
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in leaves
        if isinstance(leaf, TrainState)
    }


def health(state: Tree) -> dict[str, Health]:
    """Return the counters of skipped updates of every network in a task's state, by the network's path."""
    return {path: Health(*(getattr(n, field) for field in Health._fields)) for path, n in networks(state).items()}


def _first_nonfinite_leaf(gradients: Tree) -> Int[Array, ""]:
    nonfinite = jnp.stack([~jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(gradients)])
    return jnp.where(jnp.any(nonfinite), jnp.argmax(nonfinite), -1).astype(jnp.int32)


def _choose(condition: Bool[Array, ""], yes: Tree, no: Tree) -> Tree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
