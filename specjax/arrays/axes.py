"""Operations along one axis of arrays of any rank."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

Vector = Shaped[Array, " n"] | Shaped[np.ndarray, " n"]


def along_axis(vector: Vector, ndim: int, axis: int) -> Shaped[Array, "..."] | Shaped[np.ndarray, "..."]:
    """Reshape `vector` to rank `ndim` for broadcasting: its values lie along `axis`, all other axes have size 1.

    A negative `axis` counts from the last.
    """
    shape = [1] * ndim
    shape[axis] = len(vector)
    return vector.reshape(shape)


def pad_axis(
    x: Shaped[Array, "..."], before: int, after: int, *, axis: int = -1, mode: str = "constant", fill: float = 0.0
) -> Shaped[Array, "..."]:
    """Pad one axis as `numpy.pad` does; `fill` is the value for `mode="constant"`."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return jnp.pad(x, widths, constant_values=fill) if mode == "constant" else jnp.pad(x, widths, mode=mode)
