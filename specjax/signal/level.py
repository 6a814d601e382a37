"""Levels in decibels, from power and back. Silence has a floor, and no value or gradient is ever not a number."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

Values = Float[Array, "*shape"]
Reference = float | Float[Array, "..."] | Callable[[Values], Float[Array, "..."]]


def power_to_db(
    power: Values,
    *,
    reference: Reference = 1.0,
    least: float = 1e-10,
    range_db: float | None = None,
    axis: tuple[int, ...] | None = None,
) -> Values:
    """`10 log10(power / reference)`.

    Args:
      power: 0 or more.
      reference: the power at 0 dB, above 0: a number, an array, or a function of the power, such as `jnp.max`.
      least: powers below count as this, above 0.
      range_db: nothing lies farther than this below the greatest level, 0 or more; None: no such floor.
      axis: what the greatest is taken over; None: all. Of a batch of spectrograms it is (-2, -1).

    Raises:
      ValueError: a reference or least power of 0 or less, or a negative range.
    """
    return _level_db(10.0, power, reference, least, range_db, axis)


def amplitude_to_db(
    amplitude: Values,
    *,
    reference: Reference = 1.0,
    least: float = 1e-5,
    range_db: float | None = None,
    axis: tuple[int, ...] | None = None,
) -> Values:
    """`20 log10(amplitude / reference)` of amplitudes, 0 or more; see `power_to_db`."""
    return _level_db(20.0, amplitude, reference, least, range_db, axis)


def db_to_power(level_db: Values, *, reference: float = 1.0) -> Values:
    """Inverse of `power_to_db` above its floor."""
    return reference * 10.0 ** (0.1 * level_db)


def db_to_amplitude(level_db: Values, *, reference: float = 1.0) -> Values:
    """Inverse of `amplitude_to_db` above its floor."""
    return reference * 10.0 ** (0.05 * level_db)


def _level_db(
    factor: float,
    values: Values,
    reference: Reference,
    least: float,
    range_db: float | None,
    axis: tuple[int, ...] | None,
) -> Values:
    if least <= 0 or (isinstance(reference, int | float) and reference <= 0) or (range_db is not None and range_db < 0):
        raise ValueError(f"reference={reference} and least={least} must be above 0, range_db={range_db} 0 or more")
    at_zero = jnp.asarray(reference(values) if callable(reference) else reference, values.dtype)
    level_db = factor * (jnp.log10(jnp.maximum(values, least)) - jnp.log10(jnp.maximum(at_zero, least)))
    if range_db is None:
        return level_db
    return jnp.maximum(level_db, jnp.max(level_db, axis=axis, keepdims=axis is not None) - range_db)
