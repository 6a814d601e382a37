"""Metrics of generated music, logged at each update or computed for each clip, and a warning about silence."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.measure.spread import relative_spread

SILENT_DB = -20.0  # threshold of the warning; the level of a healthy training run is far above it

_SILENCE = 1e-10  # power relative to the mean of the real clips

MelPower = Float[Array, "batch mels frames"]
Scores = Float[Array, " batch"]


def level_and_spread(fake: MelPower, real: MelPower) -> dict[str, Float[Array, ""]]:
    """Compare the level of generated clips and their differences from each other with those of real clips.

    Returns:
      `level_db`: mean power of the generated clips relative to that of the real ones, in dB. `spread`: standard
      deviation over the batch of the level in each band and frame, averaged, relative to that of the real clips; near 0
      if all clips are equal.
    """
    unit = jnp.mean(real)
    level_db = 10 * jnp.log10(safe.divide(jnp.mean(fake), unit) + _SILENCE)
    return {"level_db": level_db, "spread": relative_spread(_level_db(fake, unit), _level_db(real, unit))}


def alarms(metrics: Mapping[str, float]) -> tuple[str, ...]:
    """Return a warning if the metrics of a GAN show that its generator is nearly silent."""
    if metrics.get("level_db", 0.0) >= SILENT_DB:  # pictures have no level
        return ()
    return (
        f"the generator is nearly silent (more than {-SILENT_DB:.0f} dB below real clips): use representation.scale=db",
    )


def thirds_db(mel_power: MelPower) -> Scores:
    """Compute the power of the outer thirds of clips relative to the middle third, in dB.

    The paper's generators put most energy into the middle of a clip.
    """
    third = mel_power.shape[-1] // 3
    power = jnp.mean(mel_power, axis=-2)
    outer = (jnp.mean(power[:, :third], axis=1) + jnp.mean(power[:, -third:], axis=1)) / 2.0
    middle = jnp.mean(power[:, third:-third], axis=1)
    floor = jnp.mean(power) * _SILENCE + 1e-30
    return 10 * jnp.log10((outer + floor) / (middle + floor))


def clip_level_db(mel_power: MelPower) -> Scores:
    """Compute the mean power of each clip in dB; at least -100."""
    return 10 * jnp.log10(jnp.mean(mel_power, axis=(1, 2)) + _SILENCE)


def _level_db(power: MelPower, unit: Float[Array, ""]) -> MelPower:
    """Compute levels relative to `unit`, limited to 60 dB below it."""
    return 10 * jnp.log10(jax.nn.relu(safe.divide(power, unit)) + 1e-6)
