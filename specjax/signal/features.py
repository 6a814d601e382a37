"""Descriptors of the shape of a spectrum or of a wave, one value per frame.

They are those of section 1 of "Audio spectrogram representations for processing with Convolutional Neural Networks"
(Lonce Wyse). Spectra are given as magnitudes, 0 or more, of shape `(*batch, bins, frames)`. Results have shape
`(*batch, frames)`. For a silent frame `flatness` is 1, and every other descriptor is 0.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.arrays import safe
from specjax.arrays.arguments import check_arguments
from specjax.arrays.axes import along_axis
from specjax.signal.shapes import ByFrame, Magnitude, Wave
from specjax.signal.short_time_fourier import Stft, frame_wave

Frequencies = Float[np.ndarray, " bins"]


class Moments(NamedTuple):
    """Moments of a spectrum, with magnitude treated as a distribution over frequency.

    Attributes:
      centroid_hz: mean.
      bandwidth_hz: standard deviation.
      skewness: third standardized moment; 0 for a normal distribution.
      kurtosis: fourth standardized moment; 3 for a normal distribution.
    """

    centroid_hz: ByFrame
    bandwidth_hz: ByFrame
    skewness: ByFrame
    kurtosis: ByFrame


def bin_frequencies(n_fft: int, sample_rate: int) -> Frequencies:
    """Compute the frequencies in Hz of the `n_fft // 2 + 1` bins of a Fourier transform, as float32."""
    return np.fft.rfftfreq(n_fft, 1 / sample_rate).astype(np.float32)


@check_arguments
def moments(magnitude: Magnitude, frequencies_hz: Frequencies) -> Moments:
    """Compute spectral centroid, bandwidth, skewness and kurtosis of each frame; all are 0 for silence.

    Args:
      magnitude: magnitudes, 0 or more, shape `(*batch, bins, frames)`.
      frequencies_hz: frequency of each bin in Hz, from `bin_frequencies`.
    """
    weights = _normalize(magnitude)
    hz = jnp.asarray(along_axis(frequencies_hz, magnitude.ndim, -2))
    centroid = jnp.sum(weights * hz, axis=-2, keepdims=True)
    offset = hz - centroid
    deviation = safe.sqrt(jnp.sum(weights * offset**2, axis=-2, keepdims=True))
    standardized = safe.divide(offset, deviation)
    return Moments(
        centroid[..., 0, :],
        deviation[..., 0, :],
        jnp.sum(weights * standardized**3, axis=-2),
        jnp.sum(weights * standardized**4, axis=-2),
    )


@check_arguments
def flatness(magnitude: Magnitude, *, amin: float = 1e-10) -> ByFrame:
    """Compute the ratio of the geometric to the arithmetic mean of the power over the bins of each frame.

    The ratio lies in (0, 1]. It is 1 for a flat spectrum and near 0 for a tone.

    Args:
      magnitude: magnitudes, 0 or more, shape `(*batch, bins, frames)`.
      amin: lower bound that the power is clipped to, above 0.
    """
    power = jnp.maximum(magnitude**2, amin)
    return jnp.exp(jnp.mean(jnp.log(power), axis=-2)) / jnp.mean(power, axis=-2)


@check_arguments
def rolloff_hz(magnitude: Magnitude, frequencies_hz: Frequencies, *, share: float = 0.85) -> ByFrame:
    """Compute the roll-off frequency of each frame in Hz.

    It is the lowest bin frequency f for which the bins from 0 Hz to f contain at least the fraction `share` of the
    frame's total magnitude.

    Args:
      magnitude: magnitudes, 0 or more, shape `(*batch, bins, frames)`.
      frequencies_hz: frequency of each bin in Hz, from `bin_frequencies`.
      share: fraction between 0 and 1.

    Returns:
      Frequencies of shape `(*batch, frames)`.

    Raises:
      ValueError: `share` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share={share} must lie between 0 and 1, both excluded")
    cumulative = jnp.cumsum(magnitude, axis=-2)
    reached = cumulative >= share * cumulative[..., -1:, :]
    return jnp.min(jnp.where(reached, along_axis(frequencies_hz, magnitude.ndim, -2), jnp.inf), axis=-2)


@check_arguments
def rms(wave: Wave, transform: Stft = Stft()) -> ByFrame:
    """Compute the root mean square of the samples in each frame of a wave. No window is applied.

    Args:
      wave: shape `(*batch, samples)`.
      transform: STFT parameters that define the frames: frame length, hop length and padding.

    Returns:
      Root mean squares of shape `(*batch, frames)`.

    Raises:
      ValueError: the wave is shorter than one frame.
    """
    return safe.sqrt(jnp.mean(frame_wave(wave, transform) ** 2, axis=-1))


@check_arguments
def zero_crossings(wave: Wave, transform: Stft = Stft(pad_mode="edge"), *, threshold: float = 1e-10) -> ByFrame:
    """Compute the number of sign changes in each frame of a wave, divided by the frame length. No window is applied.

    Args:
      wave: shape `(*batch, samples)`.
      transform: STFT parameters that define the frames: frame length, hop length and padding.
      threshold: samples of `-threshold` or more count as positive, all others as negative.

    Returns:
      Fractions in [0, 1], of shape `(*batch, frames)`.

    Raises:
      ValueError: the wave is shorter than one frame.
    """
    negative = frame_wave(wave, transform) < -threshold
    crossed = negative[..., 1:] != negative[..., :-1]
    return jnp.sum(crossed, axis=-1).astype(jnp.float32) / transform.n_fft


def log_frequency_filters(
    n_fft: int, sample_rate: int, *, bands: int = 84, bands_per_octave: int = 12, fmin_hz: float = 32.70320
) -> Float[np.ndarray, "bands bins"]:
    """Compute triangular filters whose centers are equally spaced in log frequency.

    Apply the filters to a power spectrogram with `mel.mel_spectrogram`.

    Filter b is centered on `fmin_hz * 2^(b / bands_per_octave)`. It rises from the previous center and falls to the
    next one. A slope narrower than the distance between adjacent bins is widened to that distance, so that no filter
    is empty. The weights of each filter add up to 1.

    Args:
      n_fft: frame length of the Fourier transform in samples.
      sample_rate: in Hz.
      bands: number of filters.
      bands_per_octave: number of centers per octave.
      fmin_hz: center of the lowest filter; the default is the note C1.

    Returns:
      Weights of the bins in the filters, float32, of shape `(bands, n_fft // 2 + 1)`.

    Raises:
      ValueError: the top filter reaches above half the sample rate, or `bands`, `bands_per_octave` or `fmin_hz` is not
        above 0.
    """
    center_hz = fmin_hz * 2.0 ** (np.arange(-1, bands + 1) / bands_per_octave)
    if min(bands, bands_per_octave) < 1 or fmin_hz <= 0:
        raise ValueError(f"bands={bands}, bands_per_octave={bands_per_octave} and fmin_hz={fmin_hz} must be above 0")
    if center_hz[-1] > sample_rate / 2:
        raise ValueError(
            f"{bands} bands from {fmin_hz} Hz reach {center_hz[-1]:.0f} Hz, above half the sample rate of "
            f"{sample_rate} Hz: choose fewer bands or a lower fmin_hz"
        )
    bin_hz, spacing_hz = bin_frequencies(n_fft, sample_rate).astype(float), sample_rate / n_fft
    below = np.maximum(center_hz[1:-1] - center_hz[:-2], spacing_hz)[:, None]
    above = np.maximum(center_hz[2:] - center_hz[1:-1], spacing_hz)[:, None]
    offset = bin_hz - center_hz[1:-1, None]
    triangle = np.maximum(0.0, np.minimum(1 + offset / below, 1 - offset / above))
    return (triangle / triangle.sum(axis=1, keepdims=True)).astype(np.float32)


def _normalize(magnitude: Magnitude) -> Magnitude:
    """Divide the magnitudes of each frame by their sum over the bins; a silent frame stays 0."""
    return safe.divide(magnitude, jnp.sum(magnitude, axis=-2, keepdims=True))
