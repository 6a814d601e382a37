"""Linear image operators, each stored as a small matrix of shape (n_out, n_in) that acts along one image axis.

Resampling, blurring and weighting are separable: one matrix `rows` acts along the vertical axis, and another matrix
`columns` along the horizontal axis. The matrices are computed once with NumPy. Several operators along one axis are
combined by multiplying their matrices. Applying them all to an image is then `rows @ image @ columns.T`.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays.arguments import check_arguments

Matrix = Float[np.ndarray, "n_out n_in"]

RESAMPLING = ("nearest", "bilinear", "cubic", "fft")


def resample_matrix(n_in: int, n_out: int, method: str = "bilinear") -> Matrix:
    """Compute the matrix of shape (n_out, n_in) that resamples a signal of `n_in` points to `n_out` points.

    Args:
      n_in: number of input points, >= 1.
      n_out: number of output points, >= 1.
      method: interpolation method. `nearest`, `bilinear` and `cubic` (Keys' cubic convolution kernel with a = -1/2) use
        half-pixel centers, do not smooth before downsampling, and renormalize the weights at the borders. `fft` is the
        periodic Fourier resampling of `scipy.signal.resample`.

    Raises:
      ValueError: the method is unknown.
    """
    if method == "fft":
        return _fourier_matrix(n_in, n_out)
    kernels = {"nearest": _box, "bilinear": _triangle, "cubic": _keys_cubic}
    if method not in kernels:
        raise ValueError(f"resampling method {method!r} is unknown: choose one of {', '.join(RESAMPLING)}")
    centers = (np.arange(n_out) + 0.5) * n_in / n_out - 0.5
    if method == "nearest":
        centers = np.floor(centers + 0.5)
    weights = kernels[method](centers[:, None] - np.arange(n_in))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def area_matrix(n_in: int, n_out: int) -> Matrix:
    """Compute the matrix of shape (n_out, n_in) that averages a signal of `n_in` points over `n_out` equal parts.

    A point that lies in two parts counts in each by the share of its width. This is the filter for images that shrink.
    """
    edges = np.arange(n_out + 1) * n_in / n_out
    points = np.arange(n_in)
    overlap = np.minimum(edges[1:, None], points + 1) - np.maximum(edges[:-1, None], points)
    return (np.maximum(overlap, 0) * n_out / n_in).astype(np.float32)


def gaussian_matrix(n: int, sigma: float, truncate: float = 4.0) -> Matrix:
    """Compute the (n, n) matrix of the Gaussian filter `scipy.ndimage.gaussian_filter1d`.

    The kernel sums to 1. Borders are reflected, with the edge point repeated (scipy's default mode `reflect`).

    Args:
      n: number of points.
      sigma: standard deviation, in points; 0 gives the identity.
      truncate: radius of the kernel in standard deviations.
    """
    if sigma == 0:
        return np.eye(n, dtype=np.float32)
    radius = int(truncate * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    source = (np.arange(n)[:, None] + offsets) % (2 * n)  # The reflected signal has period 2n.
    source = np.where(source < n, source, 2 * n - 1 - source)
    matrix = np.zeros((n, n))
    np.add.at(matrix, (np.arange(n)[:, None], source), kernel)
    return matrix.astype(np.float32)


def normal_density(n: int, mean: float, sigma: float) -> Float[np.ndarray, " n"]:
    """Evaluate the density of the normal distribution at the points 0, 1, ..., n-1.

    Args:
      n: number of points.
      mean: mean of the distribution, in points.
      sigma: standard deviation of the distribution, in points.
    """
    x = (np.arange(n) - mean) / sigma
    return (np.exp(-0.5 * x**2) / (np.sqrt(2 * np.pi) * sigma)).astype(np.float32)


def mean_pool(matrix: Matrix, count: int) -> Float[np.ndarray, "count n_in"]:
    """Combine a linear operator and subsequent mean pooling into one matrix.

    Args:
      matrix: matrix of the operator, of shape (n_out, n_in).
      count: number of outputs after the pooling; each is the mean of `n_out / count` adjacent outputs of the operator.

    Raises:
      ValueError: `count` is below 1 or does not divide `n_out`.
    """
    n_out, n_in = matrix.shape
    if count < 1 or n_out % count:
        raise ValueError(f"{n_out} points do not divide into {count} groups of equal size")
    return matrix.reshape(count, n_out // count, n_in).mean(axis=1, dtype=np.float64).astype(np.float32)


@check_arguments
def separable(
    rows: Float[Array, "height n"] | Float[np.ndarray, "height n"],
    image: Float[Array, "n m"],
    columns: Float[Array, "width m"] | Float[np.ndarray, "width m"],
) -> Float[Array, "height width"]:
    """Compute `rows @ image @ columns.T`: one matrix acts along the vertical axis, the other along the horizontal axis.

    Args:
      rows: matrix that maps the `n` input rows to `height` output rows.
      image: input image.
      columns: matrix that maps the `m` input columns to `width` output columns.
    """
    return jnp.asarray(rows) @ image @ jnp.asarray(columns).T


def _box(x: np.ndarray) -> np.ndarray:
    return (np.abs(x) < 0.5).astype(float)


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _keys_cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _fourier_matrix(n_in: int, n_out: int) -> Matrix:
    """Compute the matrix of Fourier resampling from `n_in` to `n_out` points, as in `scipy.signal.resample`.

    Column j is the result of resampling a unit impulse at point j.
    """
    spectrum = np.fft.rfft(np.eye(n_in), axis=0)
    shared = min(n_in, n_out)
    resampled = np.zeros((n_out // 2 + 1, n_in), complex)
    resampled[: shared // 2 + 1] = spectrum[: shared // 2 + 1]
    # If the shorter signal has an even length, its coefficient at the Nyquist frequency stands for two coefficients of
    # the longer signal. As in scipy, it is halved for upsampling and doubled for downsampling.
    if shared % 2 == 0 and n_in != n_out:
        resampled[shared // 2] *= 2.0 if n_out < n_in else 0.5
    return (np.fft.irfft(resampled, n_out, axis=0) * n_out / n_in).astype(np.float32)
