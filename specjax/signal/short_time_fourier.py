"""Short-time Fourier transform (STFT) and its inverse.

Waves are float arrays with samples on the last axis. Spectra are complex arrays of shape `(*batch, bins, frames)`, as
in librosa. The default parameters are librosa's.
"""

import warnings
from dataclasses import dataclass, replace
from numbers import Integral

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Shaped

from specjax.arrays.arguments import check_arguments
from specjax.arrays.axes import along_axis, pad_axis
from specjax.signal.fourier import irfft, rfft
from specjax.signal.framing import frame, overlap_average, steady_squares
from specjax.signal.polar import absolute, squared
from specjax.signal.shapes import Magnitude, Spectrum, Wave
from specjax.signal.windows import window

MAX_N_FFT = 2**20
PAD_MODES = ("constant", "reflect", "edge")


@dataclass(frozen=True)
class Stft:
    """Parameters of a short-time Fourier transform (STFT).

    Attributes:
      n_fft: frame length in samples.
      hop_length: distance between the starts of adjacent frames, in samples.
      window: one of `windows.WINDOWS`, or the name of a scipy window.
      win_length: window length in samples. A window shorter than the frame is centered in it and padded with zeros. 0:
        the window is as long as the frame.
      center: if true, frame t is centered on sample `t * hop_length`, and the wave is padded by `n_fft // 2` samples on
        both sides. If false, frame t begins at that sample, and the wave is not padded.
      pad_mode: how the wave is padded if `center` is true: one of `PAD_MODES`, which are modes of `numpy.pad`.

    Raises:
      ValueError: a parameter is out of range or unknown.
    """

    n_fft: int = 2048
    hop_length: int = 512
    window: str = "hann"
    win_length: int = 0
    center: bool = True
    pad_mode: str = "constant"

    def __post_init__(self) -> None:
        sizes = (self.n_fft, self.hop_length, self.win_length)
        if not all(isinstance(size, Integral) for size in sizes):
            raise ValueError(f"n_fft, hop_length and win_length must be integers, not {sizes}")
        if not 2 <= self.n_fft <= MAX_N_FFT or not 1 <= self.hop_length <= MAX_N_FFT:
            raise ValueError(
                f"n_fft={self.n_fft} must lie between 2 and {MAX_N_FFT}, "
                f"hop_length={self.hop_length} between 1 and {MAX_N_FFT}"
            )
        if not 0 <= self.win_length <= self.n_fft:
            raise ValueError(f"win_length={self.win_length} must lie between 0 and n_fft={self.n_fft}")
        if self.pad_mode not in PAD_MODES:
            raise ValueError(f"pad_mode={self.pad_mode!r} is unknown: choose one of {', '.join(PAD_MODES)}")
        window(self.window, self.win_length or self.n_fft)

    @property
    def bins(self) -> int:
        """Number of frequency bins."""
        return self.n_fft // 2 + 1

    @property
    def redundancy(self) -> float:
        """Ratio `n_fft / hop_length`: the average number of frames that cover a sample."""
        return self.n_fft / self.hop_length

    @property
    def padding(self) -> int:
        """Number of samples added to each side of the wave; 0 if `center` is false."""
        return self.n_fft // 2 if self.center else 0

    def taper(self) -> Float[np.ndarray, " n_fft"]:
        """Compute the window, padded with zeros on both sides to `n_fft` samples."""
        length = self.win_length or self.n_fft
        left = (self.n_fft - length) // 2
        return np.pad(window(self.window, length), (left, self.n_fft - length - left))

    def without_centering(self) -> "Stft":
        """Return the same transform with `center` set to false, for waves that are already padded."""
        return replace(self, center=False)

    def frames(self, samples: int) -> int:
        """Return the number of frames of a wave of `samples` samples.

        Raises:
          ValueError: the wave is shorter than one frame, or too short for reflect padding.
        """
        if self.pad_mode == "reflect" and samples <= self.padding:
            raise ValueError(
                f"a wave of {samples} samples is too short for reflect padding by n_fft/2={self.padding}: "
                "choose a smaller n_fft or another pad_mode"
            )
        padded = samples + 2 * self.padding
        if padded < self.n_fft or samples < 1:
            raise ValueError(
                f"a wave of {samples} samples is shorter than one frame of n_fft={self.n_fft}: "
                "choose a smaller n_fft or a longer wave"
            )
        return 1 + (padded - self.n_fft) // self.hop_length

    def has_frames(self, samples: int, frames: int) -> bool:
        """Return whether a wave of `samples` samples has exactly `frames` frames."""
        try:
            return self.frames(samples) == frames
        except ValueError:
            return False

    def samples(self, frames: int) -> int:
        """Return the number of samples that `frames` frames cover, without the padding.

        This is the default length of the wave that `istft` returns.
        """
        return self.n_fft + (frames - 1) * self.hop_length - 2 * self.padding

    def covered_samples(self, frames: int) -> int:
        """Return the number of samples from the start of the wave to the last one that the windows of frames cover.

        A wave may have some more samples than this, fewer than make another frame. They are lost.
        """
        reach = int(np.flatnonzero(self.taper() ** 2 > 1e-8 * self.overlap().max())[-1]) + 1
        return (frames - 1) * self.hop_length + reach - self.padding

    def overlap(self) -> Float[np.ndarray, " hop_length"]:
        """Compute, at each sample, the sum of the squares of all overlapping windows.

        Except near the ends of a wave, the sum repeats every `hop_length` samples. The result is one period, which
        begins at the first sample of a frame.
        """
        return steady_squares(self.taper(), self.hop_length)

    def check_invertible(self) -> None:
        """Check that the transform has an inverse.

        It has one if every sample, except near the ends of a wave, is covered by a window.

        Raises:
          ValueError: the windows leave gaps between them.
        """
        overlap = self.overlap()
        if overlap.min() <= 1e-8 * overlap.max():
            raise ValueError(
                f"a {self.window} window of {self.win_length or self.n_fft} every {self.hop_length} samples leaves "
                "samples out and cannot be inverted: choose a smaller hop_length"
            )

    def check_bins(self, spectrum: Shaped[Array, "*batch bins frames"]) -> None:
        """Check that a spectrogram of shape `(*batch, bins, frames)` has the number of bins of this transform.

        Raises:
          ValueError: the number of bins is not `n_fft // 2 + 1`.
        """
        if spectrum.shape[-2] != self.bins:
            raise ValueError(
                f"a spectrum of {spectrum.shape[-2]} bins does not fit n_fft={self.n_fft}, which has {self.bins} bins: "
                "use the transform that it was computed with"
            )


@check_arguments
def stft(wave: Wave, transform: Stft = Stft()) -> Spectrum:
    """Compute the short-time Fourier transform of waves, as complex spectra of shape `(*batch, bins, frames)`.

    Entry (k, t) is `sum_n w[n] x[n + t * hop_length] exp(-2 pi i k n / n_fft)`, where x is the padded wave, w is the
    window and n runs from 0 to `n_fft - 1`.

    Args:
      wave: shape `(*batch, samples)`.
      transform: parameters of the transform.

    Raises:
      ValueError: the wave is shorter than one frame (see `Stft.frames`), or it is not an array of floats.
    """
    return jnp.swapaxes(analyze(wave, transform), -1, -2)


@check_arguments
def istft(
    spectrum: Spectrum, transform: Stft = Stft(), length: int | None = None, *, min_overlap: float = 1e-8
) -> Wave:
    """Compute the wave whose `stft` is nearest to `spectrum` by least squares (Griffin and Lim 1984, eq. 6).

    If `spectrum` is the `stft` of a wave, the result is that wave. Samples that no window covers are 0. They occur only
    at the ends, if `transform.center` is false or `hop_length` is above half of `n_fft`; if `length` includes such
    samples at the end, a warning says how many.

    Args:
      spectrum: complex, shape `(*batch, bins, frames)`.
      transform: parameters of the transform.
      length: length of the result in samples; it is cut or padded with zeros at the end. By default
        `transform.samples`.
      min_overlap: each sample is divided by the sum of the squared windows that cover it. Smaller sums are raised to
        `min_overlap * max(transform.overlap())`. If `transform.center` is false, sums are tiny near the ends, and
        dividing by them amplifies errors. A greater `min_overlap` reduces this effect.

    Raises:
      ValueError: the transform has no inverse, the number of bins does not match `transform`, or `length` is negative.
    """
    transform.check_bins(spectrum)
    covered = transform.covered_samples(spectrum.shape[-1])
    if length is not None and length > covered:
        warnings.warn(
            f"no frame covers the last {length - covered} of {length} samples, which are 0: "
            "pad the wave by a frame before its transform",
            stacklevel=2,
        )
    return synthesize(jnp.swapaxes(spectrum, -1, -2), transform, length, min_overlap=min_overlap)


@check_arguments
def magnitude(wave: Wave, transform: Stft = Stft()) -> Magnitude:
    """Compute the magnitudes of the `stft` of waves: shape `(*batch, bins, frames)`.

    The gradient at silence is 0.
    """
    return jnp.swapaxes(absolute(analyze(wave, transform)), -1, -2)


@check_arguments
def power(wave: Wave, transform: Stft = Stft()) -> Magnitude:
    """Compute the squared magnitudes of the `stft` of waves: shape `(*batch, bins, frames)`."""
    return jnp.swapaxes(squared(analyze(wave, transform)), -1, -2)


def analyze(wave: Wave, transform: Stft) -> Complex[Array, "*batch frames bins"]:
    """Compute the same spectra as `stft`, with bins on the last axis: shape `(*batch, frames, bins)`."""
    frames = frame_wave(wave, transform)
    return rfft(frames * along_axis(transform.taper(), frames.ndim, -1))


def synthesize(
    spectrum: Complex[Array, "*batch frames bins"],
    transform: Stft,
    length: int | None = None,
    *,
    min_overlap: float = 1e-8,
) -> Wave:
    """Compute the inverse transform as `istft` does, from spectra with bins on the last axis.

    The arguments and errors are those of `istft`, but the shape of `spectrum` is `(*batch, frames, bins)`, and its
    number of bins is not checked.
    """
    return frames_to_wave(irfft(spectrum, transform.n_fft), transform, length, min_overlap=min_overlap)


def frame_wave(wave: Wave, transform: Stft) -> Float[Array, "*batch frames n_fft"]:
    """Pad waves and cut them into frames, without applying the window.

    The result has shape `(*batch, frames, n_fft)`. Waves in half precision are converted to float32.

    Args:
      transform: parameters of the short-time Fourier transform, which give the padding, frame length and hop length.

    Raises:
      ValueError: the wave is too short (see `Stft.frames`).
    """
    transform.frames(wave.shape[-1])
    precise = wave if wave.dtype.itemsize >= 4 else wave.astype(jnp.float32)
    padded = pad_axis(precise, transform.padding, transform.padding, mode=transform.pad_mode)
    return frame(padded, transform.n_fft, transform.hop_length)


def frames_to_wave(
    frames: Float[Array, "*batch frames n_fft"],
    transform: Stft,
    length: int | None = None,
    *,
    min_overlap: float = 1e-8,
) -> Wave:
    """Compute the wave whose windowed frames are nearest to given frames by least squares.

    Args:
      frames: the given windowed frames in the time domain, shape `(*batch, frames, n_fft)`.
      transform: parameters of the short-time Fourier transform that the frames belong to.
      length: length of the result in samples; by default `transform.samples`.
      min_overlap: each sample is divided by the sum of the squared windows that cover it. Smaller sums are raised to
        `min_overlap * max(transform.overlap())`.

    Raises:
      ValueError: the transform has no inverse, or `length` is negative.
    """
    transform.check_invertible()
    taper = transform.taper()
    length = transform.samples(frames.shape[-2]) if length is None else length
    if length < 0:
        raise ValueError(f"length={length} must be 0 or more")
    tapered = frames * along_axis(taper, frames.ndim, -1)
    wave = overlap_average(tapered, taper, transform.hop_length, min_overlap=min_overlap)
    wave = wave[..., transform.padding : transform.padding + length]
    return pad_axis(wave, 0, length - wave.shape[-1])
