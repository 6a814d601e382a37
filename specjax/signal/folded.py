"""Spectra of frames in groups of bins, for what does not ask for their order: fewer operations, and fewer passes.

A frame of N samples in quarters x0 to x3 has, with `W = exp(-2 pi i n / N)` (decimation in frequency; the split radix
of Duhamel and Hollmann 1984),

    X[4k + 1] = F[((x0 - x2) - i (x1 - x3)) W], of N/4 points,
    X[2k] = the spectrum of (x0 + x2, x1 + x3), of N/2 points, which is folded in the same way once more.

The first group goes around the whole circle: a bin above N/2 stands for the conjugate of the one below. So nothing is
computed twice, and nothing is put into order. Framing, window, sums and the turning by W are one pass. On a CPU this
is faster than real transforms are there; an accelerator's are left alone, and are a single group.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from specjax.arrays.axes import along_axis
from specjax.signal.fourier import fft, ifft, irfft, rfft
from specjax.signal.shapes import Magnitude, Wave
from specjax.signal.stft import Stft, frames_of, joined

Group = Complex[Array, "*batch frames _"]
Folded = tuple[Group, ...]
Real = Float[Array, "*batch frames _"]


def bins(n_fft: int) -> tuple[Int[np.ndarray, " _"], ...]:
    """Which bin each entry of each group is, or is the conjugate of. Bins 0 and N/2 come once, as all others do."""
    if not _folds(n_fft):
        return (np.arange(n_fft // 2 + 1),)
    quarter, eighth = n_fft // 4, n_fft // 8
    around = 4 * np.arange(quarter) + 1, 8 * np.arange(eighth) + 2
    return (*(np.minimum(k, n_fft - k) for k in around), 4 * np.arange(eighth + 1))


def fold(levels: Magnitude, n_fft: int) -> tuple[Float[Array, "*batch frames _"], ...]:
    """Levels of bins, such as magnitudes, as the groups have them.

    Raises:
      ValueError: another number of bins.
    """
    Stft(n_fft).check_bins(levels)
    by_frame = jnp.swapaxes(levels, -1, -2)
    return tuple(by_frame[..., group] for group in bins(n_fft))


def analyse(wave: Wave, transform: Stft) -> Folded:
    """The bins of `stft.stft`, in groups.

    Raises:
      ValueError: the wave is shorter than one frame (see `Stft.frames`).
    """
    framed = frames_of(wave, transform)
    n_fft, taper = transform.n_fft, along_axis(transform.taper(), framed.ndim, -1)
    if not _folds(n_fft):
        return (rfft(framed * taper),)
    x0, x1, x2, x3 = (x * w for x, w in zip(_parts(framed, 4), _parts(taper, 4), strict=True))
    even0, even1 = x0 + x2, x1 + x3
    y0, y1 = _parts(even0 - even1, 2)
    return (
        fft(_turned(x0 - x2, x1 - x3, n_fft)),
        fft(_turned(y0, y1, n_fft // 2)),
        rfft(even0 + even1),
    )


def synthesise(folded: Folded, transform: Stft, length: int | None = None, *, least: float = 1e-8) -> Wave:
    """`stft.istft` of bins in groups.

    Raises:
      ValueError: the transform has no inverse.
    """
    n_fft = transform.n_fft
    if not _folds(n_fft):
        return joined(irfft(folded[0], n_fft), transform, length, least=least)
    once, twice, rest = folded
    odd0, odd1 = _turned_back(ifft(once), n_fft)
    y = jnp.concatenate(_turned_back(ifft(twice), n_fft // 2), axis=-1)
    sums = irfft(rest, n_fft // 4)
    even0, even1 = (sums + y) / 2, (sums - y) / 2
    quarters = [even0 + odd0, even1 + odd1, even0 - odd0, even1 - odd1]
    return joined(jnp.concatenate(quarters, axis=-1) / 2, transform, length, least=least)


def _folds(n_fft: int) -> bool:
    return jax.default_backend() == "cpu" and n_fft % 8 == 0


def _parts(x: Any, count: int) -> list[Any]:
    width = x.shape[-1] // count
    return [x[..., i * width : (i + 1) * width] for i in range(count)]


def _turned(real: Real, imaginary: Real, n_fft: int) -> Group:
    """`(real - i imaginary) W`."""
    cosine, sine = _circle(n_fft, real)
    return jax.lax.complex(real * cosine - imaginary * sine, -real * sine - imaginary * cosine)


def _turned_back(z: Group, n_fft: int) -> tuple[Real, Real]:
    """Inverse of `_turned`."""
    cosine, sine = _circle(n_fft, z)
    return z.real * cosine - z.imag * sine, -z.real * sine - z.imag * cosine


def _circle(n_fft: int, like: Array) -> tuple[np.ndarray, ...]:
    """Cosines and sines of the first quarter of a turn, along the last axis."""
    angle = 2 * np.pi * np.arange(like.shape[-1]) / n_fft
    return tuple(along_axis(x.astype(np.float32), like.ndim, -1) for x in (np.cos(angle), np.sin(angle)))
