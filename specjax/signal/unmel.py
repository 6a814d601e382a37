"""Spectra from mel spectra: of all that have the given energies in the filters, one that is nowhere negative."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def mel_to_power(
    mel_power: Float[Array, "*batch rows frames"], filters: Float[np.ndarray, "n_mels bins"], *, iterations: int = 200
) -> Float[Array, "*batch bins frames"]:
    """Power of every bin, 0 or more, whose energies in the filters are nearest to those given (least squares).

    Starts from the clipped pseudo-inverse and follows the slope, kept to what is not negative, with Nesterov's momentum
    (FISTA, Beck and Teboulle 2009); the step is the reciprocal of the greatest curvature.

    Args:
      filters: `mel_filters`, or any others.

    Raises:
      ValueError: another number of filters than of rows.
    """
    n_mels = len(filters)
    if mel_power.shape[-2] != n_mels:
        raise ValueError(f"a mel spectrogram of {mel_power.shape[-2]} rows is not of {n_mels} filters")
    inverse = np.linalg.pinv(filters).astype(np.float32)
    step = np.float32(1 / np.linalg.norm(filters.astype(float), 2) ** 2)
    return _followed(mel_power, jnp.asarray(filters), jnp.asarray(inverse), step, iterations)


@partial(jax.jit, static_argnums=4)
def _followed(
    mel_power: Float[Array, "*batch rows frames"],
    filters: Float[Array, "rows bins"],
    inverse: Float[Array, "bins rows"],
    step: np.float32 | Float[Array, ""],
    iterations: int,
) -> Float[Array, "*batch bins frames"]:
    start = jnp.maximum(jnp.einsum("bm,...mt->...bt", inverse, mel_power), 0.0)

    def once(i: Int[Array, ""], state: tuple[Array, Array]) -> tuple[Array, Array]:
        power, ahead = state
        error = jnp.einsum("mb,...bt->...mt", filters, ahead) - mel_power
        moved = jnp.maximum(ahead - step * jnp.einsum("mb,...mt->...bt", filters, error), 0.0)
        momentum = i.astype(jnp.float32) / (i.astype(jnp.float32) + 3)
        return moved, moved + momentum * (moved - power)

    return jax.lax.fori_loop(0, iterations, once, (start, start))[0]
