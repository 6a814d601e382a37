"""Operations along one axis of arrays of any rank."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

Vector = Shaped[Array, " n"] | Shaped[np.ndarray, " n"]


def along_axis(vector: Vector, ndim: int, axis: int) -> Shaped[Array, "..."] | Shaped[np.ndarray, "..."]:
    """Reshape a 1-D array to `ndim` axes for broadcasting.

    The values lie along `axis`, and every other axis has size 1. A negative `axis` counts from the last axis.
    """
    shape = [1] * ndim
    shape[axis] = len(vector)
    return vector.reshape(shape)


def pad_axis(
    x: Shaped[Array, "..."], before: int, after: int, *, axis: int = -1, mode: str = "constant", fill: float = 0.0
) -> Shaped[Array, "..."]:
    """Pad one axis of an array, as `numpy.pad` does.

    Args:
      before, after: number of entries to add before and after the existing ones.
      mode: mode of `numpy.pad`.
      fill: value of the added entries if `mode` is "constant".
    """
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return jnp.pad(x, widths, constant_values=fill) if mode == "constant" else jnp.pad(x, widths, mode=mode)
