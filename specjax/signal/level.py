"""Levels in decibels, from power and back. Silence has a floor, and no value or gradient is ever not a number."""

import jax.numpy as jnp
from jaxtyping import Array, Float

Values = Float[Array, "*shape"]


def power_to_db(
    power: Values, *, reference: float = 1.0, least: float = 1e-10, range_db: float | None = None
) -> Values:
    """`10 log10(power / reference)`.

    Args:
      power: 0 or more.
      reference: the power at 0 dB, above 0.
      least: powers below count as this, above 0.
      range_db: nothing lies farther than this below the greatest value, of the whole array; None: no such floor.
    """
    _check(reference, least)
    level_db = 10 * (jnp.log10(jnp.maximum(power, least)) - jnp.log10(jnp.maximum(jnp.float32(reference), least)))
    return level_db if range_db is None else jnp.maximum(level_db, jnp.max(level_db) - range_db)


def amplitude_to_db(
    amplitude: Values, *, reference: float = 1.0, least: float = 1e-5, range_db: float | None = None
) -> Values:
    """`20 log10(amplitude / reference)`; see `power_to_db`."""
    return power_to_db(amplitude**2, reference=reference**2, least=least**2, range_db=range_db)


def db_to_power(level_db: Values, *, reference: float = 1.0) -> Values:
    """Inverse of `power_to_db` above its floor."""
    return reference * 10.0 ** (0.1 * level_db)


def db_to_amplitude(level_db: Values, *, reference: float = 1.0) -> Values:
    """Inverse of `amplitude_to_db` above its floor."""
    return reference * 10.0 ** (0.05 * level_db)


def _check(reference: float, least: float) -> None:
    if reference <= 0 or least <= 0:
        raise ValueError(f"reference={reference} and least={least} must be above 0")
