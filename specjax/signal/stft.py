"""Short-time Fourier transform and its inverse.

Waves are float arrays, samples last; spectra are complex, `(*batch, bins, frames)`, as librosa lays them out. The
defaults are librosa's.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from specjax.signal.axes import along
from specjax.signal.fourier import irfft, rfft
from specjax.signal.windows import window

MAX_N_FFT = 2**20
PAD_MODES = ("constant", "reflect", "edge")

Wave = Float[Array, "*batch samples"]
Spectrum = Complex[Array, "*batch bins frames"]
Levels = Float[Array, "*batch bins frames"]


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
        if not 2 <= self.n_fft <= MAX_N_FFT or self.hop_length < 1:
            raise ValueError(
                f"n_fft={self.n_fft} and hop_length={self.hop_length} must be above 1 and 0, n_fft up to {MAX_N_FFT}"
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
        padded = samples + 2 * self.padding
        if padded < self.n_fft or samples < 1:
            raise ValueError(f"a wave of {samples} samples is shorter than one frame of n_fft={self.n_fft}")
        return 1 + (padded - self.n_fft) // self.hop_length

    def samples(self, frames: int) -> int:
        """The most samples that so many frames tell of: the length that `istft` returns unless told another."""
        return self.n_fft + (frames - 1) * self.hop_length - 2 * self.padding

    def overlap(self) -> Float[np.ndarray, " hop_length"]:
        """Sum of the squared windows that lie over each sample between two frames, far from the ends."""
        hops = -(-self.n_fft // self.hop_length)
        squares = np.pad(self.taper() ** 2, (0, hops * self.hop_length - self.n_fft))
        return squares.reshape(hops, self.hop_length).sum(axis=0)

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


def stft(wave: Wave, transform: Stft = Stft()) -> Spectrum:
    """Complex spectra of windowed frames: `X[k, t] = sum_n w[n] x[n + t hop] exp(-2 pi i k n / n_fft)`.

    Raises:
      ValueError: the wave is shorter than one frame (see `Stft.frames`).
    """
    return jnp.swapaxes(analyse(wave, transform), -1, -2)


def istft(spectrum: Spectrum, transform: Stft = Stft(), length: int | None = None) -> Wave:
    """Wave whose `stft` is nearest to `spectrum` in the least-squares sense (Griffin and Lim 1984, eq. 6).

    Where `spectrum` is the `stft` of a wave it is that wave. Samples that no window reaches, at the ends of a transform
    that is not centred, are 0.

    Args:
      length: of the wave, in samples, which is cut or filled up with zeros; by default `transform.samples`.

    Raises:
      ValueError: the transform has no inverse, or the spectrum another number of bins.
    """
    return synthesise(jnp.swapaxes(spectrum, -1, -2), transform, length)


def magnitude(wave: Wave, transform: Stft = Stft()) -> Levels:
    """Magnitudes of `stft`; their gradient at silence is 0."""
    return jnp.swapaxes(absolute(analyse(wave, transform)), -1, -2)


def power(wave: Wave, transform: Stft = Stft()) -> Levels:
    """Squared magnitudes of `stft`."""
    return jnp.swapaxes(squared(analyse(wave, transform)), -1, -2)


def analyse(wave: Wave, transform: Stft) -> Complex[Array, "*batch frames bins"]:
    """`stft` with a frame's bins side by side, as they are computed."""
    framed = frames_of(wave, transform)
    return rfft(framed * along(transform.taper(), framed.ndim, -1))


def synthesise(
    spectrum: Complex[Array, "*batch frames bins"], transform: Stft, length: int | None = None
) -> Float[Array, "*batch samples"]:
    """`istft` of spectra with a frame's bins side by side."""
    bins = spectrum.shape[-1]
    if bins != transform.bins:
        raise ValueError(f"a spectrum of {bins} bins is not of n_fft={transform.n_fft}, which has {transform.bins}")
    framed = irfft(spectrum, transform.n_fft)
    return joined(framed * along(transform.taper(), framed.ndim, -1), transform, length)


def frames_of(wave: Wave, transform: Stft) -> Float[Array, "*batch frames n_fft"]:
    """The frames of `transform`, not windowed, of the wave padded as it says.

    Raises:
      ValueError: the wave is too short (see `Stft.frames`).
    """
    transform.frames(wave.shape[-1])
    ends = [(0, 0)] * (wave.ndim - 1) + [(transform.padding, transform.padding)]
    return frame(jnp.pad(wave, ends, mode=transform.pad_mode), transform.n_fft, transform.hop_length)


def joined(windowed: Float[Array, "*batch frames n_fft"], transform: Stft, length: int | None = None) -> Wave:
    """Wave whose frames are nearest to those that were `windowed` (Griffin and Lim 1984, eq. 6); see `istft`.

    Raises:
      ValueError: the transform has no inverse.
    """
    transform.check_invertible()
    frames = windowed.shape[-2]
    weight = _overlapped(transform.taper() ** 2, frames, transform.hop_length)
    summed = overlap_add(windowed, transform.hop_length)
    wave = summed / along(weight, summed.ndim, -1)
    length = transform.samples(frames) if length is None else length
    wave = wave[..., transform.padding : transform.padding + length]
    return jnp.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(0, length - wave.shape[-1])])


def frame(wave: Wave, length: int, hop_length: int) -> Float[Array, "*batch frames length"]:
    """Pieces of `length` samples that begin every `hop_length`; a rest too short for one is left out.

    The wave is cut into hops, and a frame is a few neighbouring hops: copies of long runs, no gathering.
    """
    count, hops = _count(wave.shape[-1], length, hop_length), -(-length // hop_length)
    needed = (count - 1 + hops) * hop_length
    fitted = jnp.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(0, max(needed - wave.shape[-1], 0))])[..., :needed]
    pieces = fitted.reshape(*wave.shape[:-1], count - 1 + hops, hop_length)
    return jnp.concatenate([pieces[..., i : i + count, :] for i in range(hops)], axis=-1)[..., :length]


def overlap_add(frames: Float[Array, "*batch frames length"], hop_length: int) -> Float[Array, "*batch samples"]:
    """Sum of frames laid `hop_length` samples apart: the adjoint of `frame`."""
    count, length = frames.shape[-2:]
    hops = -(-length // hop_length)
    before = [(0, 0)] * (frames.ndim - 2)
    fitted = jnp.pad(frames, [*before, (0, 0), (0, hops * hop_length - length)])
    pieces = [fitted[..., i * hop_length : (i + 1) * hop_length] for i in range(hops)]
    laid = [jnp.pad(piece, [*before, (i, hops - 1 - i), (0, 0)]) for i, piece in enumerate(pieces)]
    total = sum(laid[1:], laid[0])
    return total.reshape(*total.shape[:-2], -1)[..., : (count - 1) * hop_length + length]


def absolute(z: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Magnitude whose gradient at zero is zero instead of not a number."""
    of_power = squared(z)
    nonzero = of_power > 0
    return jnp.where(nonzero, jnp.sqrt(jnp.where(nonzero, of_power, 1.0)), 0.0)


def squared(z: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Squared magnitude."""
    return z.real**2 + z.imag**2


def polar(magnitude: Float[Array, "*shape"], phase: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
    """Complex numbers of given magnitudes and phases in radians."""
    return jax.lax.complex(magnitude * jnp.cos(phase), magnitude * jnp.sin(phase))


def scaled(z: Complex[Array, "*shape"], factor: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
    """`z` times a real factor."""
    return jax.lax.complex(z.real * factor, z.imag * factor)


def unit(z: Complex[Array, "*shape"]) -> Complex[Array, "*shape"]:
    """`z` over its magnitude; what is as good as 0 becomes 0, as no phase and no slope can be told of it."""
    of_power = squared(z)
    told = of_power > 1e-20
    return scaled(z, jnp.where(told, jax.lax.rsqrt(jnp.where(told, of_power, 1.0)), 0.0))


def _count(samples: int, length: int, hop_length: int) -> int:
    if samples < length:
        raise ValueError(f"a wave of {samples} samples is shorter than one frame of {length}")
    return 1 + (samples - length) // hop_length


def _overlapped(weight: Float[np.ndarray, " length"], frames: int, hop_length: int) -> Float[Array, " samples"]:
    """`overlap_add` of one frame many times over, 1 where nothing lies; all but its ends repeats every hop."""
    length = len(weight)
    hops = -(-length // hop_length)
    pieces = np.pad(weight.astype(np.float64), (0, hops * hop_length - length)).reshape(hops, hop_length)
    few = min(frames, 2 * hops)
    rows = np.zeros((few - 1 + hops, hop_length))
    for i in range(few):
        rows[i : i + hops] += pieces
    rows = np.where(rows > 1e-8 * rows.max(), rows, 1.0).astype(np.float32)
    middle = np.broadcast_to(rows[hops], (1, hop_length)) if frames > few else rows[:0]
    whole = jnp.concatenate([rows[:hops], jnp.broadcast_to(middle, (frames - few, hop_length)), rows[hops:]])
    return whole.reshape(-1)[: (frames - 1) * hop_length + length]
