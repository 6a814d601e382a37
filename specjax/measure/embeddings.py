"""Sets of embeddings, the features that a network computes from each example, which metrics of generators compare."""

import numpy as np
from jaxtyping import Array, Float

# Shape (examples, width), one row per example.
Embeddings = Float[Array, "_ _"] | Float[np.ndarray, "_ _"]


def check_embeddings(min_examples: int, **sets: Embeddings) -> list[Float[np.ndarray, "_ _"]]:
    """Check sets of embeddings that are to be compared, and return them as numpy arrays.

    Args:
      min_examples: smallest number of examples that each set may have.
      sets: the sets by name. Error messages use the names.

    Raises:
      ValueError: a set has too few examples, a different width than the first set, or values that are not finite.
    """
    arrays = {name: np.asarray(x) for name, x in sets.items()}
    first = next(iter(arrays))
    for name, x in arrays.items():
        if len(x) < min_examples:
            raise ValueError(f"{name} has {len(x)} examples, expected at least {min_examples}")
        if x.shape[1] != arrays[first].shape[1]:
            raise ValueError(
                f"{name} has width {x.shape[1]}, expected {arrays[first].shape[1]} as in {first}: "
                "compute both with the same network"
            )
        if broken := int(np.sum(~np.isfinite(x).all(axis=1))):
            raise ValueError(
                f"{name} has non-finite values in {broken} of {len(x)} examples: find out why, or leave these out"
            )
    return list(arrays.values())
