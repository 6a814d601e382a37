"""Short-time Fourier transform and its inverse.

Waves are float arrays, samples last; spectra are complex, `(*batch, bins, frames)`, as librosa lays them out. The
defaults are librosa's.
"""

from dataclasses import dataclass
from numbers import Integral

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Shaped

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
    """What a transform is made by.

    Attributes:
      n_fft: length of a frame, in samples.
      hop_length: from one frame to the next, in samples.
      window: one of `windows.WINDOWS`, or of scipy's by its name.
      win_length: length of the window, in samples, centred in the frame; 0: as long as the frame.
      center: frame t is centred on sample `t * hop_length`, the wave being padded by half a frame on both sides;
        otherwise it begins there, and there is no padding.
      pad_mode: how a centred wave is padded, in numpy's words.
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
            raise ValueError(f"n_fft, hop_length and win_length must be whole numbers, not {sizes}")
        if not 2 <= self.n_fft <= MAX_N_FFT or not 1 <= self.hop_length <= MAX_N_FFT:
            raise ValueError(
                f"n_fft={self.n_fft} must lie between 2 and {MAX_N_FFT}, hop_length={self.hop_length} from 1 up to that"
            )
        if not 0 <= self.win_length <= self.n_fft:
            raise ValueError(f"win_length={self.win_length} must lie between 0 and n_fft={self.n_fft}")
        if self.pad_mode not in PAD_MODES:
            raise ValueError(f"pad_mode={self.pad_mode!r} is unknown: choose one of {', '.join(PAD_MODES)}")
        window(self.window, self.win_length or self.n_fft)

    @property
    def bins(self) -> int:
        return self.n_fft // 2 + 1

    @property
    def redundancy(self) -> float:
        """How many frames a sample lies in."""
        return self.n_fft / self.hop_length

    @property
    def padding(self) -> int:
        """Samples added on either side."""
        return self.n_fft // 2 if self.center else 0

    def taper(self) -> Float[np.ndarray, " n_fft"]:
        """The window, with zeros around it to the length of a frame."""
        length = self.win_length or self.n_fft
        left = (self.n_fft - length) // 2
        return np.pad(window(self.window, length), (left, self.n_fft - length - left))

    def frames(self, samples: int) -> int:
        """Frames of a wave of `samples`.

        Raises:
          ValueError: the wave is shorter than one frame, or too short to be mirrored.
        """
        if self.pad_mode == "reflect" and samples <= self.padding:
            raise ValueError(f"a wave of {samples} samples cannot be mirrored over n_fft/2={self.padding}")
        pad_axis = samples + 2 * self.padding
        if pad_axis < self.n_fft or samples < 1:
            raise ValueError(f"a wave of {samples} samples is shorter than one frame of n_fft={self.n_fft}")
        return 1 + (pad_axis - self.n_fft) // self.hop_length

    def has_frames(self, samples: int, frames: int) -> bool:
        """Whether a wave of `samples` has so many frames."""
        try:
            return self.frames(samples) == frames
        except ValueError:
            return False

    def samples(self, frames: int) -> int:
        """The most samples that so many frames cover: the length that `istft` returns unless given another."""
        return self.n_fft + (frames - 1) * self.hop_length - 2 * self.padding

    def overlap(self) -> Float[np.ndarray, " hop_length"]:
        """Sum of the squared windows that lie over each sample between two frames, far from the ends."""
        return steady_squares(self.taper(), self.hop_length)

    def check_invertible(self) -> None:
        """
        Raises:
          ValueError: between frames there are samples that no window reaches, so that no inverse exists.
        """
        covered = self.overlap()
        if covered.min() <= 1e-8 * covered.max():
            raise ValueError(
                f"a {self.window} window of {self.win_length or self.n_fft} every {self.hop_length} samples leaves "
                "samples out and cannot be inverted: choose a smaller hop_length"
            )

    def check_bins(self, spectrum: Shaped[Array, "*batch bins frames"]) -> None:
        """
        Raises:
          ValueError: a spectrogram of another number of bins.
        """
        if spectrum.shape[-2] != self.bins:
            raise ValueError(
                f"a spectrum of {spectrum.shape[-2]} bins is not of n_fft={self.n_fft}, which has {self.bins}"
            )


def stft(wave: Wave, transform: Stft = Stft()) -> Spectrum:
    """Complex spectra of windowed frames: `X[k, t] = sum_n w[n] x[n + t hop] exp(-2 pi i k n / n_fft)`.

    Raises:
      ValueError: the wave is shorter than one frame (see `Stft.frames`), or of whole numbers.
    """
    return jnp.swapaxes(analyse(wave, transform), -1, -2)


def istft(spectrum: Spectrum, transform: Stft = Stft(), length: int | None = None, *, least: float = 1e-8) -> Wave:
    """Wave whose `stft` is nearest to `spectrum` in the least-squares sense (Griffin and Lim 1984, eq. 6).

    Where `spectrum` is the `stft` of a wave it is that wave. Samples that no window reaches, at the ends of a transform
    that is not centred, are 0.

    Args:
      length: of the wave, in samples, which is cut or filled up with zeros; by default `transform.samples`.
      least: where squared windows add up to less than this part of their greatest sum, that part is divided by
        instead. At the ends of a transform that is not centred a spectrum that is no wave's would be blown up.

    Raises:
      ValueError: the transform has no inverse, or the spectrum another number of bins.
    """
    transform.check_bins(spectrum)
    return synthesise(jnp.swapaxes(spectrum, -1, -2), transform, length, least=least)


def magnitude(wave: Wave, transform: Stft = Stft()) -> Magnitude:
    """Magnitudes of `stft`; their gradient at silence is 0."""
    return jnp.swapaxes(absolute(analyse(wave, transform)), -1, -2)


def power(wave: Wave, transform: Stft = Stft()) -> Magnitude:
    """Squared magnitudes of `stft`."""
    return jnp.swapaxes(squared(analyse(wave, transform)), -1, -2)


def analyse(wave: Wave, transform: Stft) -> Complex[Array, "*batch frames bins"]:
    """`stft` with a frame's bins side by side, as they are computed."""
    framed = frames_of(wave, transform)
    return rfft(framed * along_axis(transform.taper(), framed.ndim, -1))


def synthesise(
    spectrum: Complex[Array, "*batch frames bins"], transform: Stft, length: int | None = None, *, least: float = 1e-8
) -> Wave:
    """`istft` of spectra with a frame's bins side by side."""
    return joined(irfft(spectrum, transform.n_fft), transform, length, least=least)


def frames_of(wave: Wave, transform: Stft) -> Float[Array, "*batch frames n_fft"]:
    """The frames of `transform`, not windowed, of the wave padded as it says; in single precision at least.

    Raises:
      ValueError: the wave is too short (see `Stft.frames`), or of whole numbers.
    """
    if not jnp.issubdtype(wave.dtype, jnp.floating):
        raise ValueError(f"a wave of {wave.dtype}: scale it to floats from -1 to 1 first")
    transform.frames(wave.shape[-1])
    precise = wave if wave.dtype.itemsize >= 4 else wave.astype(jnp.float32)
    ends = pad_axis(precise, transform.padding, transform.padding, mode=transform.pad_mode)
    return frame(ends, transform.n_fft, transform.hop_length)


def joined(
    frames: Float[Array, "*batch frames n_fft"],
    transform: Stft,
    length: int | None = None,
    *,
    least: float = 1e-8,
) -> Wave:
    """Wave whose windowed frames are nearest to those given; see `istft`.

    Raises:
      ValueError: the transform has no inverse, or a negative length.
    """
    transform.check_invertible()
    taper = transform.taper()
    length = transform.samples(frames.shape[-2]) if length is None else length
    if length < 0:
        raise ValueError(f"length={length} of a wave must be 0 or more")
    wave = overlap_average(frames * along_axis(taper, frames.ndim, -1), taper, transform.hop_length, least=least)
    wave = wave[..., transform.padding : transform.padding + length]
    return pad_axis(wave, 0, length - wave.shape[-1])
