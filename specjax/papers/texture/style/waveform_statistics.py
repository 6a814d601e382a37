"""Features of waves for the style transfer method `waveform`, and the statistics of styles that are read in pieces."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from specjax.arrays import safe
from specjax.papers.texture.style.networks import Features, Frames, Kernel, convolve, gram, random_kernel
from specjax.papers.texture.style.source import LEVEL, Style, split
from specjax.signal.fourier import irfft, rfft
from specjax.signal.mel import Mel, mel_filters
from specjax.signal.shapes import Magnitude
from specjax.signal.short_time_fourier import Stft, power

SIZES = (512, 1024, 2048)  # frame lengths of the resolutions in samples; the hop is a quarter of a frame
# Taps and dilation of the filters on mel spectrograms. Their widths are 3, 5, 11, 21, 51 and 101 frames.
SHAPES = ((3, 1), (5, 1), (11, 1), (11, 2), (11, 5), (11, 10))
LINEAR_WIDTH = 11
LAGS = 150  # number of lags of the autocorrelation, in frames of the middle resolution
_MELS = 64
MIDDLE = 1
_HANN_POWER = 0.375  # mean of a squared Hann window
_MEL_FLOOR = 1e-6  # power below which mel bands are compressed, relative to white noise at `LEVEL`
_ENVELOPE_FLOOR = 1e-4
_DEVIATION_FLOOR = 0.2  # minimum standard deviation of a band, relative to the mean of all bands
_CONSTANT = 4.0  # value of the constant feature, whose products with the other features are their means

Wave = Float[Array, " samples"]
Filters = Float[Array, "features features"]
Kernels = Sequence[Float[Array, "_ bands filters"]]  # of several widths
Row = Float[Array, "1 channels"]


class Network(NamedTuple):
    """Random filters.

    Attributes:
      mel: for each resolution, a kernel for each entry of `SHAPES`.
      linear: kernel for the linear spectrogram of the last resolution.
    """

    mel: tuple[tuple[Kernel, ...], ...]
    linear: Kernel


class StyleStatistics(NamedTuple):
    """Statistics of a style.

    Attributes:
      moments: for each resolution, mean and deviation of each mel band, of shape `(1, bands)`.
      grams: for each resolution, the mean Gram matrix of the features of the mel spectrogram.
      linear_gram: mean Gram matrix of the features of the linear spectrogram.
      autocorrelation: of the standardized mel bands, shape `(LAGS, bands)`.
    """

    moments: tuple[tuple[Row, Row], ...]
    grams: tuple[Filters, ...]
    linear_gram: Filters
    autocorrelation: Frames


class ContentFeatures(NamedTuple):
    """Features of a content that are preserved: its changes over time, but not its mean spectrum.

    Attributes:
      bands: logarithmic mel spectrogram of the middle resolution, without the mean of each band.
      envelope: logarithmic level of each frame, without its mean.
    """

    bands: Frames
    envelope: Float[Array, " frames"]


def random_network(key: Key[Array, ""], filters: int, linear_filters: int) -> Network:
    """Draw random filters: `filters` of each width at each resolution, and `linear_filters` on linear spectrograms."""
    keys = iter(jax.random.split(key, len(SIZES) * len(SHAPES) + 1))
    mel = tuple(tuple(random_kernel(next(keys), taps, _MELS, filters) for taps, _ in SHAPES) for _ in SIZES)
    return Network(mel, random_kernel(next(keys), LINEAR_WIDTH, resolution_transform(-1).bins, linear_filters))


def log_mel(powers: Magnitude, resolution: int, sample_rate: int) -> Frames:
    """Compute logarithmic mel amplitudes of shape `(frames, bands)`, compressed near silence."""
    size = SIZES[resolution]
    white = LEVEL**2 * _HANN_POWER * size * size / sample_rate  # power of white noise in a band of area 1
    filters = jnp.asarray(mel_filters(Mel(_MELS), sample_rate, size))
    return 0.5 * jnp.log1p((filters @ powers).T / (_MEL_FLOOR * white))


def content_features(wave: Wave, sample_rate: int) -> ContentFeatures:
    """Compute the features of a content that are preserved."""
    return content_features_from_power(power(wave, resolution_transform(MIDDLE)), sample_rate)


def content_features_from_power(powers: Magnitude, sample_rate: int) -> ContentFeatures:
    """Compute these features from the power spectrogram of a content at the middle resolution."""
    bands = log_mel(powers, MIDDLE, sample_rate)
    size = SIZES[MIDDLE]
    white = LEVEL**2 * _HANN_POWER * size * (size / 2)  # power of white noise in all bins
    envelope = 0.5 * jnp.log1p(jnp.sum(powers, axis=0) / (_ENVELOPE_FLOOR * white))
    return ContentFeatures(bands - jnp.mean(bands, axis=0, keepdims=True), envelope - jnp.mean(envelope))


def standardize(bands: Frames, mean: Row, deviation: Row) -> Frames:
    """Subtract the mean of each band and divide by its deviation."""
    return (bands - mean) / deviation


def mel_features(bands: Frames, kernels: Kernels) -> Float[Array, "frames features"]:
    """Compute features of standardized mel bands: a constant, the bands themselves, and random filters with ReLU."""
    constant = jnp.full((len(bands), 1), _CONSTANT)
    filtered = [
        jax.nn.relu(convolve(bands, kernel, dilation=dilation))
        for kernel, (_, dilation) in zip(kernels, SHAPES, strict=True)
    ]
    return jnp.concatenate([constant, bands, *filtered], axis=1)


def linear_features(powers: Magnitude, kernel: Kernel) -> Features:
    """Compute random filters with ReLU on the logarithmic magnitudes `log(1 + |S|)`."""
    return jax.nn.relu(convolve(jnp.log1p(safe.sqrt(powers)).T, kernel))


def lagged_products(bands: Frames, following: int = 0) -> Float[Array, "lags bands"]:
    """Compute the sums over time of `bands[t] * bands[t + lag]` for all lags below `LAGS`.

    Frames after the last count as zero.

    Args:
      bands: frames in rows.
      following: number of frames at the end that serve only as the later factor.
    """
    size = len(bands) + LAGS
    own = jnp.conj(rfft(bands[: len(bands) - following].T, size))
    return irfft(own * rfft(bands.T, size), size)[:, :LAGS].T


def measure_style(style: Style, network: Network, sample_rate: int, content_frames: int) -> StyleStatistics:
    """Compute the statistics of a style, which is read in pieces, twice for each resolution.

    Args:
      style: the style.
      network: random filters.
      sample_rate: in Hz.
      content_frames: number of frames of the content at the middle resolution. The lagged products of a content have
        fewer summands at greater lags; those of the style are scaled alike.
    """
    moments, grams = [], []
    linear, products = jnp.zeros(()), jnp.zeros(())
    for i, kernels in enumerate(network.mel):
        frames = resolution_transform(i).frames(style.samples)
        pieces = partial(split, style, resolution_transform(i), frames, context=LAGS)
        sums = jax.tree.map(
            lambda *arrays: sum(arrays[1:], arrays[0]),
            *(_sum_moments(jnp.asarray(p.wave), i, sample_rate, p.before, p.after) for p in pieces()),
        )
        mean = sums[0] / frames
        deviation = jnp.sqrt(jnp.maximum(sums[1] / frames - mean**2, 0.0))
        deviation = jnp.sqrt(deviation**2 + (_DEVIATION_FLOOR * jnp.mean(deviation)) ** 2 + 1e-12)
        total = jnp.zeros(())
        for p in pieces():
            wave = jnp.asarray(p.wave)
            total = total + _mel_gram(wave, mean, deviation, kernels, i, sample_rate, p.before, p.after)
            if i == MIDDLE:
                products = products + _piece_products(wave, mean, deviation, sample_rate, p.before, p.after)
            if i == len(SIZES) - 1:
                linear = linear + _linear_gram(wave, network.linear, p.before, p.after)
        moments.append((mean, deviation))
        grams.append(total / frames)
    lag = jnp.arange(LAGS, dtype=jnp.float32)[:, None]
    style_frames = resolution_transform(MIDDLE).frames(style.samples)
    scale = jnp.maximum(content_frames - lag, 0.0) / content_frames / jnp.maximum(style_frames - lag, 1.0)
    return StyleStatistics(tuple(moments), tuple(grams), linear / frames, products * scale)


@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _sum_moments(wave: Wave, i: int, sample_rate: int, before: int, after: int) -> tuple[Row, Row]:
    bands = _drop(_piece_mel(wave, i, sample_rate), before, after)
    return jnp.sum(bands, axis=0, keepdims=True), jnp.sum(bands**2, axis=0, keepdims=True)


@partial(jax.jit, static_argnums=(4, 5, 6, 7))
def _mel_gram(
    wave: Wave,
    mean: Row,
    deviation: Row,
    kernels: Kernels,
    i: int,
    sample_rate: int,
    before: int,
    after: int,
) -> Filters:
    bands = standardize(_piece_mel(wave, i, sample_rate), mean, deviation)
    return gram(_drop(mel_features(bands, kernels), before, after))


@partial(jax.jit, static_argnums=(3, 4, 5))
def _piece_products(
    wave: Wave, mean: Row, deviation: Row, sample_rate: int, before: int, after: int
) -> Float[Array, "lags bands"]:
    bands = standardize(_piece_mel(wave, MIDDLE, sample_rate), mean, deviation)
    return lagged_products(bands[before:], after)


@partial(jax.jit, static_argnums=(2, 3))
def _linear_gram(wave: Wave, kernel: Kernel, before: int, after: int) -> Filters:
    return gram(
        _drop(linear_features(power(wave, resolution_transform(-1).without_centering()), kernel), before, after)
    )


def _piece_mel(wave: Wave, i: int, sample_rate: int) -> Frames:
    return log_mel(power(wave, resolution_transform(i).without_centering()), i, sample_rate)


def _drop(rows: Float[Array, "rows columns"], before: int, after: int) -> Float[Array, "kept columns"]:
    return rows[before : len(rows) - after]


def resolution_transform(i: int) -> Stft:
    """Return the transform of the resolution `i`, an index into `SIZES`."""
    return Stft(SIZES[i], SIZES[i] // 4)
