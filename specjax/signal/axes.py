"""Vectors along one axis of arrays of any rank."""

import numpy as np
from jaxtyping import Array, Shaped

Vector = Shaped[Array, " n"] | Shaped[np.ndarray, " n"]


def along(vector: Vector, ndim: int, axis: int) -> Shaped[Array, "..."] | Shaped[np.ndarray, "..."]:
    """`vector` as an array of `ndim` axes that varies along `axis` (negative: from the last) only."""
    shape = [1] * ndim
    shape[axis] = len(vector)
    return vector.reshape(shape)
