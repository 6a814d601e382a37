"""What is done along one axis of arrays of any rank."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

Vector = Shaped[Array, " n"] | Shaped[np.ndarray, " n"]


def along_axis(vector: Vector, ndim: int, axis: int) -> Shaped[Array, "..."] | Shaped[np.ndarray, "..."]:
    """`vector` as an array of `ndim` axes that varies along `axis` (negative: from the last) only."""
    shape = [1] * ndim
    shape[axis] = len(vector)
    return vector.reshape(shape)


def pad_axis(
    x: Shaped[Array, "..."], before: int, after: int, *, axis: int = -1, mode: str = "constant", fill: float = 0.0
) -> Shaped[Array, "..."]:
    """`numpy.pad` of one axis; `fill` is the constant."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return jnp.pad(x, widths, constant_values=fill) if mode == "constant" else jnp.pad(x, widths, mode=mode)
