"""Training state of one network, and an optimizer update that is skipped if any of its values is not finite."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

Tree = Any


class TrainState(NamedTuple):
    """Training state of one network.

    The last three fields are integer scalars. An ensemble of models stacks all fields along a leading axis of models.

    params: parameters.
    batch_stats: running statistics of the normalization layers; None for a network without any.
    opt_state: state of the optimizer.
    ema_params: exponential moving average of `params`; None if no average is kept.
    skipped: number of updates that were skipped so far because a value was not finite.
    skipped_in_a_row: number of consecutive skipped updates up to the latest one; 0 if the latest one was applied.
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
    """Counters of skipped updates of one network; a subset of the fields of its `TrainState`.

    For an ensemble of models, each has a leading axis of models.

    skipped: number of updates that were skipped so far because a value was not finite.
    skipped_in_a_row: number of consecutive skipped updates up to the latest one; 0 if the latest one was applied.
    nonfinite_leaf: index of the first gradient leaf that was not finite in the latest update; -1 if all were finite.
    """

    skipped: Int[Array, "..."]
    skipped_in_a_row: Int[Array, "..."]
    nonfinite_leaf: Int[Array, "..."]


def create(
    params: Tree, transform: optax.GradientTransformation, batch_stats: Tree = None, *, ema: bool = False
) -> TrainState:
    """Create the training state of a network with initial parameters `params`.

    Args:
      transform: optimizer, whose state is initialized for `params`.
      batch_stats: initial running statistics of the normalization layers; None if there are none.
      ema: whether to keep an exponential moving average of the parameters. It starts at `params`.
    """
    zero = jnp.zeros((), jnp.int32)
    ema_params = jax.tree.map(jnp.array, params) if ema else None  # a copy, because a buffer can be donated only once
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
    """Apply one optimizer update, or skip it if the loss, a gradient, the update or a running statistic is not finite.

    Norms must be finite too, so values above about 1e19, whose squares overflow, are treated like infinity. A skipped
    update leaves parameters, running statistics, optimizer state and moving average exactly as they were, and is
    counted in `skipped` and `skipped_in_a_row`.

    Args:
      state: training state before the update.
      gradients: gradients of the loss with respect to `state.params`.
      transform: optimizer.
      loss: value of the loss. It is also passed to the optimizer as `value`, which optax's `reduce_on_plateau` reads.
      batch_stats: new running statistics of the normalization layers; None keeps those of `state`.
      ema_decay: decay of the moving average of the parameters, needed if the state has one.

    Returns:
      The new state and three metrics: the global L2 norms of the gradients (`grad_norm`), of the new parameters
      (`param_norm`) and of the optimizer's update (`update_norm`).
    """
    with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
        transform = optax.with_extra_args_support(transform)
        updates, opt_state = transform.update(gradients, state.opt_state, state.params, value=loss)
    params = optax.apply_updates(state.params, updates)
    batch_stats = state.batch_stats if batch_stats is None else batch_stats
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
    """Find every `TrainState` in the state of a task.

    Returns:
      Training states by path in the tree, such as `generator/0`. The path is "" if `state` itself is a `TrainState`.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(state, is_leaf=lambda x: isinstance(x, TrainState))
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in leaves
        if isinstance(leaf, TrainState)
    }


def health(state: Tree) -> dict[str, Health]:
    """Return the counters of skipped updates of every network in the state of a task.

    Returns:
      Counters by path of the network in the tree; the path is "" if `state` itself is a `TrainState`.
    """
    return {path: Health(*(getattr(n, field) for field in Health._fields)) for path, n in networks(state).items()}


def _first_nonfinite_leaf(gradients: Tree) -> Int[Array, ""]:
    """Return the index of the first leaf that holds a value that is not finite; -1 if there is none."""
    nonfinite = jnp.stack([~jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(gradients)])
    return jnp.where(jnp.any(nonfinite), jnp.argmax(nonfinite), -1).astype(jnp.int32)


def _choose(condition: Bool[Array, ""], yes: Tree, no: Tree) -> Tree:
    """Select `yes` or `no` leaf by leaf with `jnp.where`."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
