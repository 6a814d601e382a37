"""The guarded update: nothing that is not finite ever reaches parameters, statistics, optimiser or averages."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

Tree = Any


class Guarded(NamedTuple):
    """What an optimiser carries from step to step."""

    params: Tree
    statistics: Tree  # that normalisations keep of what they have seen
    optimiser: optax.OptState
    average: Tree  # exponential moving average of the parameters
    skipped: Int[Array, ""]  # updates refused so far
    skipped_in_a_row: Int[Array, ""]


def start(params: Tree, transform: optax.GradientTransformation, statistics: Tree = None) -> Guarded:
    """Fresh state around `params`; the average starts at them."""
    zero = jnp.zeros((), jnp.int32)
    average = jax.tree.map(jnp.array, params)  # a copy: the state's buffers are donated one by one
    return Guarded(params, statistics, transform.init(params), average, zero, zero)


def update(
    state: Guarded,
    gradients: Tree,
    transform: optax.GradientTransformation,
    average_decay: Float[Array, ""],
    loss: Float[Array, ""],
    statistics: Tree = None,
) -> tuple[Guarded, dict[str, Float[Array, ""]]]:
    """One step along `transform(gradients)`, or none where the loss, a gradient, the step or a statistic is not finite.

    Returns the new state and the norms: `grad_norm`, `param_norm`, `update_norm`; how many were `skipped` so far and
    `skipped_in_a_row`; and `sick_leaf`, the first gradient that is not finite as its place among the leaves, or -1.
    """
    with jax.numpy_dtype_promotion("standard"):  # optax raises floats to whole-number powers
        transform = optax.with_extra_args_support(transform)
        updates, optimiser = transform.update(gradients, state.optimiser, state.params, value=loss)
    params = optax.apply_updates(state.params, updates)
    average = jax.tree.map(lambda a, p: a + (1.0 - average_decay) * (p - a), state.average, params)
    grad_norm = optax.tree.norm(gradients)
    update_norm = optax.tree.norm(updates)
    healthy = jnp.isfinite(loss) & jnp.isfinite(grad_norm) & jnp.isfinite(update_norm)
    healthy &= jnp.isfinite(optax.tree.norm(statistics))
    params, statistics, optimiser, average = _choose(
        healthy,
        (params, statistics, optimiser, average),
        (state.params, state.statistics, state.optimiser, state.average),
    )
    refused = (~healthy).astype(jnp.int32)
    skipped_in_a_row = (state.skipped_in_a_row + refused) * refused
    new = Guarded(params, statistics, optimiser, average, state.skipped + refused, skipped_in_a_row)
    metrics = {
        "grad_norm": grad_norm,
        "param_norm": optax.tree.norm(new.params),
        "update_norm": update_norm,
        "skipped": new.skipped.astype(jnp.float32),
        "skipped_in_a_row": new.skipped_in_a_row.astype(jnp.float32),
        "sick_leaf": _first_sick_leaf(gradients),
    }
    return new, metrics


def _first_sick_leaf(gradients: Tree) -> Float[Array, ""]:
    sick = jnp.stack([~jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(gradients)])
    return jnp.where(jnp.any(sick), jnp.argmax(sick), -1).astype(jnp.float32)


def _choose(condition: Bool[Array, ""], yes: Tree, no: Tree) -> Tree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
