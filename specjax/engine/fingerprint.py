"""Fingerprints of data sets, which tell whether a run is resumed on the examples that it began with.

Integers, such as pixels and labels, must be equal. Real numbers, such as spectrograms, may differ by rounding, because
processors and versions of libraries decode and transform sounds differently. Their fingerprint is a few random
projections: if one of a thousand examples is replaced, they change by several percent of the norm of the array.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

PROJECTIONS = 4
BLOCK = 2**16  # numbers that are projected at once
TOLERANCE = 1e-3  # of the norm of the array

Fingerprint = dict[str, Any]


def fingerprint(tree: Any) -> dict[str, Fingerprint]:
    """Compute the fingerprint of every array of a tree of host arrays, by path; it is JSON-serializable."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): _fingerprint(np.asarray(x)) for path, x in leaves}


def differing(before: Mapping[str, Fingerprint], now: Mapping[str, Fingerprint]) -> list[str]:
    """Return the paths of the arrays that differ by more than rounding, or that only one of two trees has."""
    paths = sorted(before.keys() | now.keys())
    return [path for path in paths if not _is_close(before.get(path, {}), now.get(path, {}))]


def _fingerprint(x: np.ndarray) -> Fingerprint:
    shape = {"dtype": str(x.dtype), "shape": list(x.shape)}
    if not np.issubdtype(x.dtype, np.floating):
        return shape | {"sha256": hashlib.sha256(np.ascontiguousarray(x).data).hexdigest()}
    norm, projections = _project(x.ravel())
    return shape | {"norm": norm, "projections": projections.tolist()}


def _project(x: Float[np.ndarray, " n"]) -> tuple[float, Float[np.ndarray, " projections"]]:
    """Return the norm of an array, and its products with random vectors whose elements have unit variance."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((PROJECTIONS, BLOCK))  # of each block, scaled by random factors
    squares, projections = 0.0, np.zeros(PROJECTIONS)
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK].astype(np.float64)
        squares += float(block @ block)
        projections += rng.standard_normal(PROJECTIONS) * (weights[:, : len(block)] @ block)
    return squares**0.5, projections


def _is_close(before: Fingerprint, now: Fingerprint) -> bool:
    if "norm" not in before or any(before[name] != now.get(name) for name in ("dtype", "shape")):
        return before == now
    change = np.subtract(before["projections"], now["projections"])
    return bool(np.abs(change).max() <= TOLERANCE * max(before["norm"], now["norm"]))
