"""Statistics of sound textures: McDermott and Simoncelli, "Sound Texture Perception via Statistics of the Auditory
Periphery" (Neuron 2011).

A wave is split into 30 frequency bands that imitate the cochlea. The envelope of each band is compressed, and analyzed
by a second filter bank, which measures how fast the envelope fluctuates. Two sounds whose statistics agree sound like
the same texture.

The wave is scaled to a root mean square of 1 first, so no statistic depends on its level. Every statistic of silence is
finite. Unlike in the paper, all samples have the same weight, and the variation is not squared.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from specjax.arrays import safe
from specjax.arrays.arguments import check_arguments
from specjax.arrays.axes import pad_axis
from specjax.arrays.batching import map_examples
from specjax.signal.polar import absolute, scaled, squared
from specjax.signal.shapes import Wave

BANDS = 30
LOW_HZ, HIGH_HZ = 20.0, 10_000.0  # lower edge of the first band, and upper edge of the last
COMPRESSION = 0.3
ENVELOPE_RATE = 400
LAGS = (1, 2, 3, 5, 8, 11, 16, 21)  # distances between the bands whose envelopes are correlated
MODULATION_LAGS = (1, 2)  # distances between the bands whose modulations are correlated
# Center frequencies of two banks of modulation filters. The filters of the first have a quality factor of 2, those of
# the second are an octave apart.
MODULATION_HZ = np.geomspace(0.5, 200.0, 20)
OCTAVE_HZ = 200.0 / 2.0 ** np.arange(7, 0, -1)

_QUALITY = 2.0
# Envelopes are clipped to 80 dB below the root mean square of the wave, and a small constant is added to variances. So
# bands that contain nothing but rounding error have equal statistics.
_MIN_ENVELOPE = 1e-4
_MIN_VARIANCE = 1e-6
_EXACT = jax.lax.Precision.HIGHEST  # by default accelerators round the factors of a product to 8 or 10 bits

Samples = Float[Array, " samples"]
Envelopes = Float[Array, "bands times"]
Gains = Float[np.ndarray, "filters frequencies"]
Octaves = Complex[Array, "bands octaves times"]


class TextureStatistics(NamedTuple):
    """Statistics of the compressed envelopes of the bands of a sound.

    A pair of bands is two bands at one of the distances `LAGS`, or `MODULATION_LAGS` for `modulation_correlation`.

    Attributes:
      mean: mean of each envelope.
      variation: standard deviation of each envelope, divided by the mean.
      skewness: third standardized moment of each envelope; 0 for a symmetric distribution.
      kurtosis: fourth standardized moment of each envelope; 3 for a normal distribution.
      correlation: Pearson correlation between the envelopes of each pair of bands.
      modulation_power: power of each envelope in each of 20 modulation bands, divided by the variance of the envelope.
      modulation_correlation: Pearson correlation between the envelopes of each pair of bands, both filtered by the same
        modulation filter. There are six filters, one octave apart. C1 in the paper.
      modulation_phase: correlation between adjacent octaves of modulation in the envelope of one band, after the phase
        of the lower octave is doubled. Real and imaginary parts are on the last axis. It depends on the shape of onsets
        and decays. C2 in the paper.
    """

    mean: Float[Array, "*batch bands"]
    variation: Float[Array, "*batch bands"]
    skewness: Float[Array, "*batch bands"]
    kurtosis: Float[Array, "*batch bands"]
    correlation: Float[Array, "*batch pairs"]
    modulation_power: Float[Array, "*batch bands modulations"]
    modulation_correlation: Float[Array, "*batch modulation_pairs octaves"]
    modulation_phase: Float[Array, "*batch bands octaves 2"]


@check_arguments
@partial(jax.jit, static_argnames="sample_rate")
def texture_statistics(wave: Wave, sample_rate: int) -> TextureStatistics:
    """Compute the texture statistics of waves of shape `(*batch, samples)`.

    On a CPU the waves are processed one after the other. About `480 * samples` bytes are needed for the bands of one.

    Args:
      sample_rate: in Hz, above 400.

    Raises:
      ValueError: the sample rate is too low, or the wave is shorter than 0.1 s.
    """
    if sample_rate <= ENVELOPE_RATE or wave.shape[-1] < 0.1 * sample_rate:
        raise ValueError(
            f"a wave of {wave.shape[-1]} samples at {sample_rate} Hz has no texture statistics: "
            f"use a sample rate above {ENVELOPE_RATE} Hz and a wave of at least 0.1 s"
        )
    waves = wave.reshape(-1, wave.shape[-1])
    result = map_examples(lambda x: describe_envelopes(envelopes(x, sample_rate)))(waves)
    return jax.tree.map(lambda x: x.reshape(*wave.shape[:-1], *x.shape[1:]), result)


def cochlear_filters(samples: int, sample_rate: int) -> Gains:
    """Compute the gain of each cochlear filter at each frequency of the Fourier transform of a wave.

    The filters have the shape of half a period of a cosine. Their centers are equally spaced on the ERB scale (Glasberg
    and Moore 1990), and each one reaches from the center of the previous filter to that of the next. So the squares of
    the gains add up to 1 between the centers of the first and the last filter, which are 52 and 8844 Hz for sample
    rates above 20 kHz.

    Args:
      samples: length of the wave in samples.
      sample_rate: in Hz.

    Returns:
      Gains of shape `(30, samples // 2 + 1)`, float32.
    """
    low, high = _hz_to_erb(np.array([LOW_HZ, min(HIGH_HZ, sample_rate / 2)]))
    corners = np.linspace(low, high, BANDS + 2)
    return _cosine_filters(
        _hz_to_erb(np.fft.rfftfreq(samples, 1 / sample_rate)), corners[1:-1], corners[1] - corners[0]
    )


def modulation_filters(samples: int) -> Gains:
    """Compute the gains of the modulation filters of constant quality: 20 filters with centers from 0.5 to 200 Hz.

    A filter with center f has the shape of half a period of a cosine from `f / 2` to `1.5 f`.

    Args:
      samples: length of an envelope in samples, at 400 Hz.

    Returns:
      Gains of shape `(20, samples // 2 + 1)`, float32. Their squares add up to about 1 between the centers of the
      fourth filter and the fourth from the end.
    """
    hz = np.fft.rfftfreq(samples, 1 / ENVELOPE_RATE)
    dense = np.geomspace(MODULATION_HZ[3], MODULATION_HZ[-4], 1000)
    gains, total = (
        _cosine_filters(frequencies, MODULATION_HZ, MODULATION_HZ / _QUALITY) for frequencies in (hz, dense)
    )
    return (gains / np.sqrt(np.mean(np.sum(total**2, axis=0)))).astype(np.float32)


def octave_filters(samples: int) -> Gains:
    """Compute the gains of the octave modulation filters: 7 filters with centers from 1.5625 to 100 Hz.

    On a logarithmic axis of frequency, a filter has the shape of half a period of a cosine, two octaves wide.

    Args:
      samples: length of an envelope in samples, at 400 Hz.

    Returns:
      Gains of shape `(7, samples // 2 + 1)`, float32.
    """
    hz = np.maximum(np.fft.rfftfreq(samples, 1 / ENVELOPE_RATE), 1e-9)
    return _cosine_filters(np.log2(hz), np.log2(OCTAVE_HZ), 1.0)


def envelopes(wave: Samples, sample_rate: int) -> Envelopes:
    """Compute the compressed envelopes of the cochlear bands of a wave, resampled to about 400 Hz.

    An envelope is the magnitude of the analytic signal of the band, to the power of 0.3. The number of samples is
    rounded. The wave counts as periodic in all filters.
    """
    samples = wave.shape[-1]
    times = round(samples * ENVELOPE_RATE / sample_rate)
    spectrum = jnp.fft.rfft(safe.divide(wave, safe.sqrt(jnp.mean(wave**2))))
    analytic = _analytic_signals(spectrum[None], cochlear_filters(samples, sample_rate), samples)
    compressed = jnp.maximum(absolute(analytic), _MIN_ENVELOPE) ** COMPRESSION
    # Cutting the spectrum off resamples the envelopes, without aliases.
    return jnp.fft.irfft(jnp.fft.rfft(compressed)[:, : times // 2 + 1], times) * (times / samples)


def describe_envelopes(envelopes: Envelopes) -> TextureStatistics:
    """Compute the statistics of compressed envelopes, sampled at 400 Hz, as returned by `envelopes`."""
    times = envelopes.shape[-1]
    mean = jnp.mean(envelopes, axis=-1)
    centered = envelopes - mean[:, None]
    variance = jnp.mean(centered**2, axis=-1) + _MIN_VARIANCE
    standardized = centered / jnp.sqrt(variance)[:, None]
    spectrum = jnp.fft.rfft(standardized)
    # By Parseval's theorem, the power of a filtered signal is a sum over its spectrum.
    power = squared(spectrum) * jnp.asarray(_one_sided(times) / np.float32(times) ** 2)[None]
    octaves = _analytic_signals(spectrum[:, None], octave_filters(times)[None], times)
    return TextureStatistics(
        mean,
        jnp.sqrt(variance) / mean,
        jnp.mean(standardized**3, axis=-1),
        jnp.mean(standardized**4, axis=-1),
        _correlate_pairs(standardized, LAGS),
        jnp.matmul(power, modulation_filters(times).T ** 2, precision=_EXACT),
        _correlate_pairs(octaves[:, 1:].real, MODULATION_LAGS),
        _correlate_adjacent_octaves(octaves),
    )


def _hz_to_erb(frequency_hz: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Convert frequencies in Hz to numbers of equivalent rectangular bandwidths (Glasberg and Moore 1990)."""
    return 9.265 * np.log1p(frequency_hz / (24.7 * 9.265))


def _cosine_filters(
    axis: Float[np.ndarray, " n"],
    centers: Float[np.ndarray, " filters"],
    half_width: Float[np.ndarray, " filters"] | float,
) -> Float[np.ndarray, "filters n"]:
    """Compute filters that are half a period of a cosine, `2 * half_width` wide, with a peak of 1 at their centers.

    Args:
      axis: position of each frequency, in the unit of `centers` and `half_width`.
    """
    offset = (axis - centers[:, None]) / np.broadcast_to(half_width, centers.shape)[:, None]
    return (np.cos(np.pi / 2 * offset) * (np.abs(offset) < 1)).astype(np.float32)


def _analytic_signals(
    spectrum: Complex[Array, "*any frequencies"], gains: Float[np.ndarray, "*some frequencies"], samples: int
) -> Complex[Array, "*filtered samples"]:
    """Filter a real signal of `samples` samples, given by its spectrum, and add the Hilbert transform times i."""
    # The analytic signal has no negative frequencies, and the positive ones doubled.
    doubled = spectrum * jnp.asarray(gains * _one_sided(samples), jnp.complex64)
    return jnp.fft.ifft(pad_axis(doubled, 0, samples - spectrum.shape[-1]))


def _one_sided(samples: int) -> Float[np.ndarray, " frequencies"]:
    """Compute how often each bin of `rfft` occurs in the Fourier transform of `samples` samples: once or twice."""
    weights = np.full(samples // 2 + 1, 2.0, np.float32)
    weights[0] = 1.0
    if samples % 2 == 0:
        weights[-1] = 1.0
    return weights


def _correlate_pairs(x: Float[Array, "bands *rest times"], lags: tuple[int, ...]) -> Float[Array, "pairs ..."]:
    """Correlate signals of mean 0 in bands with those in the bands `lags` above them; 0 for constant signals."""
    unit = x / jnp.sqrt(jnp.mean(x**2, axis=-1, keepdims=True) + _MIN_VARIANCE)
    return jnp.concatenate([jnp.mean(unit[:-lag] * unit[lag:], axis=-1) for lag in lags])


def _correlate_adjacent_octaves(octaves: Octaves) -> Float[Array, "bands pairs 2"]:
    """Correlate each octave of modulation, with its phase doubled, with the octave above; 0 for constant signals.

    Args:
      octaves: analytic signals of the octaves of each envelope, from the lowest.

    Returns:
      Real and imaginary parts, along the last axis, of the correlations.
    """
    power = squared(octaves)
    deviation = jnp.sqrt(jnp.mean(power, axis=-1) + _MIN_VARIANCE)
    low, high = octaves[:, :-1], octaves[:, 1:]
    # z^2 / |z| has the magnitude of z, and twice its phase.
    doubled = low * scaled(low, safe.divide(jnp.ones_like(power[:, :-1]), absolute(low)))
    correlation = scaled(jnp.mean(jnp.conj(doubled) * high, axis=-1), 1 / (deviation[:, :-1] * deviation[:, 1:]))
    return jnp.stack([correlation.real, correlation.imag], axis=-1)
