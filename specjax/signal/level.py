"""Conversion between power or amplitude and decibels.

Levels in decibels are clipped from below. Their values and gradients are therefore finite even for silence.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.arrays.arguments import check_arguments

Values = Float[Array, "*shape"]
Reference = float | Float[Array, "..."] | Callable[[Values], Float[Array, "..."]]


@check_arguments
def power_to_db(
    power: Values,
    *,
    reference: Reference = 1.0,
    amin: float = 1e-10,
    range_db: float | None = None,
    axis: tuple[int, ...] | None = None,
) -> Values:
    """Convert power to decibels: `10 log10(power / reference)`.

    Args:
      power: 0 or more.
      reference: the power that corresponds to 0 dB, above 0: a number, an array that broadcasts against `power`, or a
        function that computes it from `power`, such as `jnp.max`.
      amin: lower bound, above 0. Smaller values of `power` and `reference` are replaced by it.
      range_db: dynamic range in dB, 0 or more. Levels are clipped to this many dB below the maximum. None: no limit.
      axis: the axes over which that maximum is taken; None: all axes, batch axes included. Use (-2, -1) for a batch of
        spectrograms.

    Raises:
      ValueError: `amin` or a number given as `reference` is not above 0, or `range_db` is negative.
    """
    return _to_db(10.0, power, reference, amin, range_db, axis)


@check_arguments
def amplitude_to_db(
    amplitude: Values,
    *,
    reference: Reference = 1.0,
    amin: float = 1e-5,
    range_db: float | None = None,
    axis: tuple[int, ...] | None = None,
) -> Values:
    """Convert amplitudes, 0 or more, to decibels: `20 log10(amplitude / reference)`.

    The options are those of `power_to_db`, except that `reference` and `amin` are amplitudes.
    """
    return _to_db(20.0, amplitude, reference, amin, range_db, axis)


@check_arguments
def db_to_power(level_db: Values, *, reference: float = 1.0) -> Values:
    """Convert decibels to power. This inverts `power_to_db` for all values that were not clipped."""
    return reference * 10.0 ** (0.1 * level_db)


@check_arguments
def db_to_amplitude(level_db: Values, *, reference: float = 1.0) -> Values:
    """Convert decibels to amplitude. This inverts `amplitude_to_db` for all values that were not clipped."""
    return reference * 10.0 ** (0.05 * level_db)


def _to_db(
    factor: float,
    values: Values,
    reference: Reference,
    amin: float,
    range_db: float | None,
    axis: tuple[int, ...] | None,
) -> Values:
    if amin <= 0 or (isinstance(reference, int | float) and reference <= 0) or (range_db is not None and range_db < 0):
        raise ValueError(f"reference={reference} and amin={amin} must be above 0, range_db={range_db} 0 or more")
    reference_value = jnp.asarray(reference(values) if callable(reference) else reference, values.dtype)
    level_db = factor * (jnp.log10(jnp.maximum(values, amin)) - jnp.log10(jnp.maximum(reference_value, amin)))
    if range_db is None:
        return level_db
    return jnp.maximum(level_db, jnp.max(level_db, axis=axis, keepdims=axis is not None) - range_db)
