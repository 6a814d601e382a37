"""Short-time Fourier transform whose bins come in groups instead of in order of frequency.

It serves computations that do not need the bins in order, such as sums over bins. On a CPU it is faster than a real
FFT, because it takes fewer operations and fewer passes over memory. On an accelerator the real FFT is used, and all
bins form a single group.

The method is the split-radix FFT with decimation in frequency (Duhamel and Hollmann 1984). A windowed frame of N
samples is split into four quarters x0, x1, x2 and x3. X is the spectrum of the frame, F[...] the complex FFT of N/4
points, and `W[n] = exp(-2 pi i n / N)` are the twiddle factors:

    X[4k + 1] = F[((x0 - x2) - i (x1 - x3)) W]
    X[2k] = spectrum of the N/2 samples (x0 + x2, x1 + x3)

The second spectrum is split once more in the same way. So there are three groups: the bins 4k + 1, the bins 8k + 2 and
the bins 4k.

For k from 0 to N/4 - 1, the index 4k + 1 also takes values above N/2. For a real frame, bin j above N/2 is the complex
conjugate of bin N - j. So the first group holds every odd bin up to N/2 once, some of them as conjugates. The second
group likewise holds the bins that are twice an odd number.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from specjax.arrays.axes import along_axis
from specjax.signal.fourier import fft, ifft, irfft, rfft
from specjax.signal.shapes import Magnitude, Wave
from specjax.signal.short_time_fourier import Stft, frame_wave, frames_to_wave

# Some bins, or their complex conjugates, of every frame; `bin_indices` gives their numbers.
Group = Complex[Array, "*batch frames _"]
Groups = tuple[Group, ...]
Real = Float[Array, "*batch frames _"]


def bin_indices(n_fft: int) -> tuple[Int[np.ndarray, " _"], ...]:
    """Return which frequency bins each array returned by `analyze` holds, and in which order.

    `analyze` returns a spectrum as a tuple of arrays, called groups. Each bin from 0 to `n_fft // 2` is in exactly one
    group. On a CPU, there are three groups if `n_fft` is a multiple of 8. In all other cases there is one.

    Returns:
      One integer array per group, which contains the bin number of each entry.
    """
    if not _splits(n_fft):
        return (np.arange(n_fft // 2 + 1),)
    quarter, eighth = n_fft // 4, n_fft // 8
    circular = 4 * np.arange(quarter) + 1, 8 * np.arange(eighth) + 2
    return (*(np.minimum(k, n_fft - k) for k in circular), 4 * np.arange(eighth + 1))


def group_bins(levels: Magnitude, n_fft: int) -> tuple[Float[Array, "*batch frames _"], ...]:
    """Arrange real values per bin, such as magnitudes, in the order in which `analyze` returns the bins.

    `analyze` returns the bins of a spectrum as a tuple of arrays, called groups, and not in order of frequency. Each
    bin is in one group; `bin_indices` gives the bin numbers.

    Args:
      levels: values in order of frequency, shape `(*batch, bins, frames)`.
      n_fft: frame length in samples.

    Returns:
      One array of shape `(*batch, frames, bins in the group)` per group.

    Raises:
      ValueError: the number of bins does not match `n_fft`.
    """
    Stft(n_fft).check_bins(levels)
    by_frame = jnp.swapaxes(levels, -1, -2)
    return tuple(by_frame[..., indices] for indices in bin_indices(n_fft))


def analyze(wave: Wave, transform: Stft) -> Groups:
    """Compute the short-time Fourier transform of waves, with the bins in the order that is fastest to compute.

    On a CPU this is faster than `signal.stft`, and the bins come in three arrays if `n_fft` is a multiple of 8.
    Otherwise they come in one array, in order of frequency.

    Args:
      wave: shape `(*batch, samples)`.
      transform: parameters of the transform.

    Returns:
      Tuple of complex arrays (groups of bins), each of shape `(*batch, frames, bins in the group)`. `bin_indices` says
      which frequency bin each entry is. Some bins are complex conjugates of those of `signal.stft`.

    Raises:
      ValueError: the wave is shorter than one frame (see `Stft.frames`), or it is an integer array.
    """
    frames = frame_wave(wave, transform)
    n_fft, taper = transform.n_fft, along_axis(transform.taper(), frames.ndim, -1)
    if not _splits(n_fft):
        return (rfft(frames * taper),)
    x0, x1, x2, x3 = (x * w for x, w in zip(_split(frames, 4), _split(taper, 4), strict=True))
    even0, even1 = x0 + x2, x1 + x3
    y0, y1 = _split(even0 - even1, 2)
    return (
        fft(_rotate(x0 - x2, x1 - x3, n_fft)),
        fft(_rotate(y0, y1, n_fft // 2)),
        rfft(even0 + even1),
    )


def synthesize(groups: Groups, transform: Stft, length: int | None = None, *, min_overlap: float = 1e-8) -> Wave:
    """Compute the inverse short-time Fourier transform of spectra in the format that `analyze` returns.

    The result is the same as that of `signal.istft`, which takes bins in order of frequency.

    Args:
      groups: tuple of complex arrays of shape `(*batch, frames, bins in the group)`, as returned by `analyze`.
      transform: parameters of the transform.
      length: length of the result in samples; by default `transform.samples`.
      min_overlap: as for `signal.istft`.

    Raises:
      ValueError: the transform has no inverse, or `length` is negative.
    """
    n_fft = transform.n_fft
    if not _splits(n_fft):
        return frames_to_wave(irfft(groups[0], n_fft), transform, length, min_overlap=min_overlap)
    odd_bins, twice_odd_bins, other_bins = groups
    odd0, odd1 = _rotate_back(ifft(odd_bins), n_fft)
    y = jnp.concatenate(_rotate_back(ifft(twice_odd_bins), n_fft // 2), axis=-1)
    sums = irfft(other_bins, n_fft // 4)
    even0, even1 = (sums + y) / 2, (sums - y) / 2
    quarters = [even0 + odd0, even1 + odd1, even0 - odd0, even1 - odd1]
    return frames_to_wave(jnp.concatenate(quarters, axis=-1) / 2, transform, length, min_overlap=min_overlap)


def _splits(n_fft: int) -> bool:
    """Return whether the transform of a frame of `n_fft` samples is split into smaller ones (split-radix FFT).

    It is split if `n_fft` is a multiple of 8 and the computation runs on a CPU. Otherwise one real FFT is used.
    """
    return jax.default_backend() == "cpu" and n_fft % 8 == 0


def _split(x: Any, count: int) -> list[Any]:
    """Split the last axis into `count` equal parts."""
    width = x.shape[-1] // count
    return [x[..., i * width : (i + 1) * width] for i in range(count)]


def _rotate(real: Real, imaginary: Real, n_fft: int) -> Group:
    """Multiply `real - i imaginary` by the twiddle factors `exp(-2 pi i n / n_fft)`.

    The index n counts the entries of the last axis.
    """
    cosine, sine = _twiddle_factors(n_fft, real)
    return jax.lax.complex(real * cosine - imaginary * sine, -real * sine - imaginary * cosine)


def _rotate_back(z: Group, n_fft: int) -> tuple[Real, Real]:
    """Invert `_rotate`, and return the pair `(real, imaginary)`."""
    cosine, sine = _twiddle_factors(n_fft, z)
    return z.real * cosine - z.imag * sine, -z.real * sine - z.imag * cosine


def _twiddle_factors(n_fft: int, like: Array) -> tuple[np.ndarray, ...]:
    """Compute cosine and sine of `2 pi n / n_fft`, where n is the index on the last axis of `like`.

    Both results have as many axes as `like`; all but the last have size 1.
    """
    angle = 2 * np.pi * np.arange(like.shape[-1]) / n_fft
    return tuple(along_axis(x.astype(np.float32), like.ndim, -1) for x in (np.cos(angle), np.sin(angle)))
