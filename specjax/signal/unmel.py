"""Spectra from mel spectra: of all that have the given energies in the filters, one that is nowhere negative."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.signal.mel import Filters, mel_spectrogram
from specjax.signal.shapes import Magnitude, Rows


def mel_to_power(mel_power: Rows, filters: Filters, *, iterations: int = 200) -> Magnitude:
    """Power of every bin, 0 or more, whose energies in the filters are nearest to those given (least squares).

    From nothing it follows the gradient, kept to what is not negative, with Nesterov's momentum (FISTA, Beck and
    Teboulle 2009); the step is the reciprocal of the greatest curvature.

    Args:
      filters: `mel_filters`, or any others.

    Raises:
      ValueError: another number of filters than of rows.
    """
    n_mels = len(filters)
    if mel_power.shape[-2] != n_mels:
        raise ValueError(f"a mel spectrogram of {mel_power.shape[-2]} rows is not of {n_mels} filters")
    exact = filters.astype(float)
    step = np.float32(1 / np.linalg.norm(exact @ exact.T, 2))
    return _followed(mel_power, jnp.asarray(filters), step, iterations)


@partial(jax.jit, static_argnums=3)
def _followed(
    mel_power: Rows, filters: Float[Array, "rows bins"], step: np.float32 | Float[Array, ""], iterations: int
) -> Magnitude:
    def once(i: Int[Array, ""], state: tuple[Magnitude, Magnitude]) -> tuple[Magnitude, Magnitude]:
        power, ahead = state
        error = mel_spectrogram(ahead, filters) - mel_power
        moved = jnp.maximum(ahead - step * mel_spectrogram(error, filters.T), 0.0)
        momentum = i.astype(jnp.float32) / (i.astype(jnp.float32) + 3)
        return moved, moved + momentum * (moved - power)

    nothing = jnp.zeros((*mel_power.shape[:-2], filters.shape[1], mel_power.shape[-1]))
    return jax.lax.fori_loop(0, iterations, once, (nothing, nothing))[0]
