"""Inversion of mel filters: non-negative power spectra that have the given energies in the filters."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.signal.mel import Filters, mel_spectrogram
from specjax.signal.shapes import Magnitude, Rows


def mel_to_power(mel_power: Rows, filters: Filters, *, iterations: int = 200) -> Magnitude:
    """Estimate the power of every bin from mel power, by non-negative least squares.

    The result is 0 or more, and its energies in the filters are as close as possible to `mel_power`. It is found by
    projected gradient descent from zero with Nesterov's momentum (FISTA, Beck and Teboulle 2009). The step size is the
    reciprocal of the greatest curvature.

    Args:
      filters: those of `mel_filters`, or any other filter bank.

    Raises:
      ValueError: the number of rows does not match the number of filters.
    """
    n_mels = len(filters)
    if mel_power.shape[-2] != n_mels:
        raise ValueError(
            f"a mel spectrogram of {mel_power.shape[-2]} rows does not fit {n_mels} filters: "
            "use the filters that it was computed with"
        )
    exact = filters.astype(float)
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
