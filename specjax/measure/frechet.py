"""Frechet distance between two sets of embeddings, modeled as normal distributions, and its limit for large sets.

With embeddings of the Inception network, the distance is the FID of Heusel et al. (2017), "GANs Trained by a Two
Time-Scale Update Rule Converge to a Local Nash Equilibrium". Like the FID, it is the square of a metric.
"""

import numpy as np
from jaxtyping import Float, Float64

from specjax.measure.embeddings import Embeddings, check_embeddings

_FRACTIONS = np.linspace(0.5, 1.0, 8)  # of both sets, for the extrapolation
_SUBSETS = 5  # for each fraction below 1


def gaussian_frechet_distance(
    mean: Float[np.ndarray, " width"],
    covariance: Float[np.ndarray, "width width"],
    other_mean: Float[np.ndarray, " width"],
    other_covariance: Float[np.ndarray, "width width"],
) -> float:
    """Compute the Frechet distance between two normal distributions (Dowson and Landau 1982).

    It is |m - n|^2 + trace(S + T - 2 (S^1/2 T S^1/2)^1/2) for means m, n and covariances S, T.
    """
    difference = mean.astype(np.float64) - other_mean
    variances, axes = np.linalg.eigh(covariance.astype(np.float64))
    root = (axes * np.sqrt(np.maximum(variances, 0))) @ axes.T  # rounding makes zero variances slightly negative
    squares = np.linalg.eigvalsh(root @ other_covariance @ root)
    traces = np.trace(covariance) + np.trace(other_covariance)
    return float(difference @ difference + traces - 2 * np.sum(np.sqrt(np.maximum(squares, 0))))


def frechet_distance(real: Embeddings, fake: Embeddings) -> float:
    """Compute the Frechet distance between the means and covariances of real and generated examples.

    It is biased upward: for equal distributions it is far above 0 unless both sets have many times more examples than
    the embeddings have dimensions. See `extrapolated_frechet_distance`.

    Args:
      real: embeddings of real examples.
      fake: embeddings of generated examples.

    Raises:
      ValueError: a set has fewer than two examples, the widths differ, or a value is not finite.
    """
    return _distance(*_reduce_width(*check_embeddings(2, real=real, fake=fake)))


def extrapolated_frechet_distance(real: Embeddings, fake: Embeddings, *, seed: int = 0) -> float:
    """Estimate the Frechet distance for infinitely many examples (Chong and Forsyth 2020, FID-infinity).

    The bias of the plain distance is nearly proportional to 1/N. A line is fitted to the distances between random
    subsets of both sets, from half of the examples to all of them, over one divided by the fraction. Its value at 0 is
    the estimate. Chong and Forsyth draw subsets of the generated examples only, so they need enough real examples
    for the bias of those to be negligible. Drawing subsets of both sets removes both biases.

    The estimate can be negative. It needs at least about 1.5 times as many examples as the embeddings have dimensions
    of notable variance. With fewer, the bias is no longer proportional to 1/N, and part of it remains.

    It takes up to 36 times as long as the plain distance.

    Args:
      real: embeddings of real examples.
      fake: embeddings of generated examples.
      seed: seed of the random subsets.

    Raises:
      ValueError: a set has fewer than four examples, the widths differ, or a value is not finite.
    """
    x, y = _reduce_width(*check_embeddings(4, real=real, fake=fake))
    rng = np.random.default_rng(seed)

    def average(fraction: float) -> float:
        subsets = [(_draw(x, fraction, rng), _draw(y, fraction, rng)) for _ in range(_SUBSETS if fraction < 1 else 1)]
        return float(np.mean([_distance(*pair) for pair in subsets]))

    line = np.polynomial.Polynomial.fit(1 / _FRACTIONS, [average(fraction) for fraction in _FRACTIONS], 1)
    return float(line(0.0))


def _draw(
    points: Float64[np.ndarray, "points width"], fraction: float, rng: np.random.Generator
) -> Float64[np.ndarray, "subset width"]:
    """Draw a random subset without repetition."""
    return points[rng.permutation(len(points))[: round(fraction * len(points))]]


def _distance(real: Float64[np.ndarray, "real width"], fake: Float64[np.ndarray, "fake width"]) -> float:
    """Compute the Frechet distance between the means and unbiased covariances of two sets."""
    moments = [(x.mean(axis=0), np.atleast_2d(np.cov(x, rowvar=False))) for x in (real, fake)]
    return gaussian_frechet_distance(*moments[0], *moments[1])


def _reduce_width(
    real: Float[np.ndarray, "real width"], fake: Float[np.ndarray, "fake width"]
) -> tuple[Float64[np.ndarray, "real smaller"], Float64[np.ndarray, "fake smaller"]]:
    """Express few examples of large width in an orthonormal basis of their span, which preserves distances."""
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    if len(real) + len(fake) < real.shape[1]:
        basis = np.linalg.qr(np.concatenate([real, fake]).T)[0]
        real, fake = real @ basis, fake @ basis
    return real, fake
