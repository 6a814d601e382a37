"""Inversion of mel filters: estimation of a power spectrogram from a mel spectrogram."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.arrays.arguments import check_arguments
from specjax.signal.mel import Filters, mel_spectrogram
from specjax.signal.shapes import Magnitude, Rows


@check_arguments
def mel_to_power(mel_power: Rows, filters: Filters, *, iterations: int = 200) -> Magnitude:
    """Estimate a power spectrogram from a mel power spectrogram, by non-negative least squares.

    The result is the power P, 0 or more, that minimizes the squared error `|filters @ P - mel_power|^2`. It is found by
    projected gradient descent from zero with Nesterov's momentum (FISTA, Beck and Teboulle 2009).

    Args:
      mel_power: shape `(*batch, n_mels, frames)`, 0 or more.
      filters: the filters that `mel_power` was computed with, from `mel_filters` or any other filter bank: shape
        `(n_mels, bins)`.
      iterations: number of descent steps.

    Returns:
      Power of shape `(*batch, bins, frames)`.

    Raises:
      ValueError: `mel_power` does not have one row per filter.
    """
    n_mels = len(filters)
    if mel_power.shape[-2] != n_mels:
        raise ValueError(
            f"a mel spectrogram of {mel_power.shape[-2]} rows does not fit {n_mels} filters: "
            "use the filters that it was computed with"
        )
    exact = filters.astype(float)
    # The reciprocal of the greatest eigenvalue of the Hessian of the halved squared error.
    step_size = np.float32(1 / np.linalg.norm(exact @ exact.T, 2))
    return _descend(mel_power, jnp.asarray(filters), step_size, iterations)


@partial(jax.jit, static_argnums=3)
def _descend(
    mel_power: Rows, filters: Float[Array, "rows bins"], step_size: np.float32 | Float[Array, ""], iterations: int
) -> Magnitude:
    def step(i: Int[Array, ""], state: tuple[Magnitude, Magnitude]) -> tuple[Magnitude, Magnitude]:
        power, extrapolated = state
        error = mel_spectrogram(extrapolated, filters) - mel_power
        updated = jnp.maximum(extrapolated - step_size * mel_spectrogram(error, filters.T), 0.0)
        momentum = i.astype(jnp.float32) / (i.astype(jnp.float32) + 3)
        return updated, updated + momentum * (updated - power)

    zero = jnp.zeros((*mel_power.shape[:-2], filters.shape[1], mel_power.shape[-1]))
    return jax.lax.fori_loop(0, iterations, step, (zero, zero))[0]
