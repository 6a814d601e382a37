"""Descriptors of the shape of a spectrum or of a wave, frame by frame (Wyse, section 1).

Spectra are magnitudes, `(*batch, bins, frames)`, 0 or more, whose bins stand at `bin_frequencies`. Of a silent frame
`flatness` is 1 and all else is 0.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.arrays import safe
from specjax.arrays.axes import along_axis
from specjax.signal.shapes import ByFrame, Magnitude, Wave
from specjax.signal.stft import Stft, frames_of

Frequencies = Float[np.ndarray, " bins"]


class Moments(NamedTuple):
    """Of a spectrum taken as a distribution over frequency.

    centroid_hz: its mean. bandwidth_hz: its standard deviation. skewness, kurtosis: its third and fourth standardised
    moments; a normal distribution has 0 and 3.
    """

    centroid_hz: ByFrame
    bandwidth_hz: ByFrame
    skewness: ByFrame
    kurtosis: ByFrame


def bin_frequencies(n_fft: int, sample_rate: int) -> Frequencies:
    """Frequencies of the bins of a frame of `n_fft` samples, in Hz, float32."""
    return np.fft.rfftfreq(n_fft, 1 / sample_rate).astype(np.float32)


def moments(magnitude: Magnitude, frequencies_hz: Frequencies) -> Moments:
    """Spectral centroid, bandwidth, skewness and kurtosis; of silence all are 0."""
    share = _share(magnitude)
    hz = jnp.asarray(along_axis(frequencies_hz, magnitude.ndim, -2))
    centroid = jnp.sum(share * hz, axis=-2, keepdims=True)
    away = hz - centroid
    deviation = safe.sqrt(jnp.sum(share * away**2, axis=-2, keepdims=True))
    standard = safe.divide(away, deviation)
    return Moments(
        centroid[..., 0, :],
        deviation[..., 0, :],
        jnp.sum(share * standard**3, axis=-2),
        jnp.sum(share * standard**4, axis=-2),
    )


def flatness(magnitude: Magnitude, *, least: float = 1e-10) -> ByFrame:
    """Geometric over arithmetic mean of the power, in (0, 1]: 1 where it is even, near 0 for a tone.

    Args:
      least: powers below count as this, above 0.
    """
    power = jnp.maximum(magnitude**2, least)
    return jnp.exp(jnp.mean(jnp.log(power), axis=-2)) / jnp.mean(power, axis=-2)


def rolloff_hz(magnitude: Magnitude, frequencies_hz: Frequencies, *, share: float = 0.85) -> ByFrame:
    """Least frequency, in Hz, below which lies `share` of the magnitude.

    Raises:
      ValueError: the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share={share} must lie between 0 and 1")
    total = jnp.cumsum(magnitude, axis=-2)
    reached = total >= share * total[..., -1:, :]
    return jnp.min(jnp.where(reached, along_axis(frequencies_hz, magnitude.ndim, -2), jnp.inf), axis=-2)


def rms(wave: Wave, transform: Stft = Stft()) -> ByFrame:
    """Root of the mean square of each frame of `transform`, not windowed: the envelope.

    Raises:
      ValueError: the wave is shorter than a frame.
    """
    return safe.sqrt(jnp.mean(frames_of(wave, transform) ** 2, axis=-1))


def zero_crossings(wave: Wave, transform: Stft = Stft(pad_mode="edge"), *, threshold: float = 1e-10) -> ByFrame:
    """Share of the samples of each frame of `transform`, in [0, 1], at which the sign changes.

    Args:
      threshold: down to its negative, samples count as positive.

    Raises:
      ValueError: the wave is shorter than a frame.
    """
    negative = frames_of(wave, transform) < -threshold
    crossed = negative[..., 1:] != negative[..., :-1]
    return jnp.sum(crossed, axis=-1).astype(jnp.float32) / transform.n_fft


def log_frequency_filters(
    n_fft: int, sample_rate: int, *, bands: int = 84, bands_per_octave: int = 12, fmin_hz: float = 32.70320
) -> Float[np.ndarray, "bands bins"]:
    """Filters spaced equally in log frequency, float32, to be applied as `mel_spectrogram` applies mel's.

    Band b is centred on `fmin_hz 2^(b / bands_per_octave)`: a triangle from the centre below to the centre above, its
    weights adding up to 1. Where bands lie closer than bins it reads between two bins by a straight line.

    Raises:
      ValueError: the highest band reaches half the sample rate, or a number is not above 0.
    """
    centre_hz = fmin_hz * 2.0 ** (np.arange(-1, bands + 1) / bands_per_octave)
    if min(bands, bands_per_octave) < 1 or fmin_hz <= 0:
        raise ValueError(f"bands={bands}, bands_per_octave={bands_per_octave} and fmin_hz={fmin_hz} must be above 0")
    if centre_hz[-1] > sample_rate / 2:
        raise ValueError(
            f"{bands} bands from {fmin_hz} Hz reach {centre_hz[-1]:.0f} Hz, above half of {sample_rate} Hz"
        )
    bin_hz, spacing_hz = bin_frequencies(n_fft, sample_rate).astype(float), sample_rate / n_fft
    below = np.maximum(centre_hz[1:-1] - centre_hz[:-2], spacing_hz)[:, None]
    above = np.maximum(centre_hz[2:] - centre_hz[1:-1], spacing_hz)[:, None]
    away = bin_hz - centre_hz[1:-1, None]
    triangle = np.maximum(0.0, np.minimum(1 + away / below, 1 - away / above))
    return (triangle / triangle.sum(axis=1, keepdims=True)).astype(np.float32)


def _share(magnitude: Magnitude) -> Magnitude:
    """Each bin's part of its frame's sum; none has any of silence."""
    return safe.divide(magnitude, jnp.sum(magnitude, axis=-2, keepdims=True))
