"""Judges of style transfer: metrics that no method of style transfer optimizes, and tables of them.

A judge compares a result with the content or with the style. None depends on the level of a sound, and all are finite
for silence. Waves have shape `(batch, samples)`, one pair of sounds per row.

Sounds of any length are compared in bounded memory: the style judges average over excerpts (see `cut_excerpts`).
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.arrays.batching import map_examples
from specjax.measure.intervals import format_interval, format_share
from specjax.signal.level import power_to_db
from specjax.signal.mel import Mel, mel_filters, mel_from_wave, mfcc
from specjax.signal.short_time_fourier import Stft
from specjax.signal.texture import TextureStatistics, texture_statistics

EXCERPT_S = 10.0
MAX_EXCERPTS = 16
STYLE_JUDGES = ("texture", "gram", "mfcc")  # distances to the style: lower is better
JUDGES = (*STYLE_JUDGES, "content")  # `content` is a correlation: higher is better

# Root mean square difference, for each class of statistics, between two clips of different kinds of the synthetic
# sounds (`sounds.CLASSES`). A distance divided by it is 1 for unrelated sounds.
TEXTURE_SCALES = {
    "mean": 0.236,
    "variation": 0.333,
    "skewness": 2.63,
    "kurtosis": 1.51,
    "correlation": 0.439,
    "modulation_power": 0.0888,
    "modulation_correlation": 0.498,
    "modulation_phase": 0.387,
}

_RANGE_DB = 80.0
_GRAM_BANDS, _KERNEL_FRAMES, _KERNELS = 64, 9, 1024
_GRAM_SEED = 271_828  # not used by any method of style transfer
_ENVELOPE_BANDS = 32
_MFCC_BANDS = 40
_EXACT = jax.lax.Precision.HIGHEST  # by default accelerators round the factors of a product to 8 or 10 bits

Samples = Float[Array, " samples"]
Styles = Float[Array, "pairs style_samples"]
Excerpts = Float[Array, "pairs excerpts samples"]
StyleExcerpts = Float[Array, "pairs style_excerpts samples"]
Waves = Float[Array, "pairs samples"]
Values = Float[Array, " pairs"]
Measures = dict[str, Float[np.ndarray, " pairs"]]


def judge(result: Waves, content: Waves, style: Styles, sample_rate: int) -> Measures:
    """Compute all judges of a batch of results of style transfer.

    Args:
      result: results, of the same length as their content.
      content: content sounds.
      style: style sounds, of any duration above 0.25 s.
      sample_rate: sample rate of all waves, in Hz.

    Returns:
      One value per pair for each judge in `JUDGES`:
        `texture`: distance of the texture statistics to those of the style (`texture_distance`).
        `gram`: distance of the Gram matrices of a random network to those of the style (`gram_distance`).
        `mfcc`: distance of MFCC 2 to 13 to those of the style (`mfcc_distance`).
        `content`: correlation of the envelopes with those of the content (`content_correlation`).
    """
    length = min(result.shape[-1], style.shape[-1], round(EXCERPT_S * sample_rate))
    excerpts = cut_excerpts(result, length), cut_excerpts(style, length)
    values = {
        "texture": texture_distance(*excerpts, sample_rate),
        "gram": gram_distance(*excerpts, sample_rate),
        "mfcc": mfcc_distance(*excerpts, sample_rate),
        "content": content_correlation(result, content, sample_rate),
    }
    return {name: np.asarray(value) for name, value in values.items()}


def format_table(measures: Mapping[str, Measures], reference: str) -> str:
    """Format the judges of several methods of style transfer, and of controls, as a Markdown table, one row each.

    Controls are results too: the content, the style, and the content equalized to the mean spectrum of the style.

    The columns are the mean of each judge over the pairs, with its 95% confidence interval (Student's t), and for each
    distance to the style the fraction of the pairs for which the method is nearer to the style than `reference`, with
    the 95% Wilson interval.

    Args:
      measures: values of the judges, as returned by `judge`, by the name of the method or control.
      reference: name of the method that the others are compared with.

    Raises:
      ValueError: `reference` is not one of the methods.
    """
    if reference not in measures:
        raise ValueError(f"reference {reference!r} is unknown: choose one of {', '.join(measures)}")
    header = ["", *JUDGES, *(f"nearer in {name} than {reference}" for name in STYLE_JUDGES)]
    rows = [header, ["---"] * len(header)]
    for variant, values in measures.items():
        means = [format_interval(values[name].tolist(), "{:.3f}") for name in JUDGES]
        nearer = {name: values[name] < measures[reference][name] for name in STYLE_JUDGES}
        shares = ["" if variant == reference else format_share(int(n.sum()), len(n)) for n in nearer.values()]
        rows.append([variant, *means, *shares])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cut_excerpts(wave: Waves, length: int) -> Float[Array, "pairs excerpts length"]:
    """Cut excerpts of `length` samples from waves that are at least as long.

    Their number is the smallest that covers the wave, but at most 16. They are equally spaced, the first at the start
    and the last at the end of the wave; they may overlap.
    """
    surplus = wave.shape[-1] - length
    count = min(1 + -(-surplus // length), MAX_EXCERPTS)
    starts = np.linspace(0, surplus, count).astype(int)
    return jnp.stack([wave[:, start : start + length] for start in starts], axis=1)


@partial(jax.jit, static_argnames="sample_rate")
def texture_distance(result: Excerpts, style: StyleExcerpts, sample_rate: int) -> Values:
    """Compute the distance between texture statistics: the mean over the eight classes of `texture_distances`."""
    return jnp.mean(jnp.stack([*texture_distances(result, style, sample_rate).values()]), axis=0)


@partial(jax.jit, static_argnames="sample_rate")
def texture_distances(result: Excerpts, style: StyleExcerpts, sample_rate: int) -> dict[str, Values]:
    """Compute the distance between the statistics of McDermott and Simoncelli (2011) for each class of statistics.

    The statistics are averaged over excerpts, and kurtoses are compared by their logarithms. The distance is the root
    mean square difference over all statistics of a class, divided by `TEXTURE_SCALES`: 0 for equal statistics, and
    about 1 for unrelated sounds.

    Returns:
      One distance per pair for each field of `TextureStatistics`.
    """
    both = (_mean_statistics(wave, sample_rate) for wave in (result, style))
    differences = jax.tree.map(lambda a, b: a - b, *both)
    return {name: _rms(getattr(differences, name)) / scale for name, scale in TEXTURE_SCALES.items()}


@partial(jax.jit, static_argnames="sample_rate")
def gram_distance(result: Excerpts, style: StyleExcerpts, sample_rate: int) -> Values:
    """Compute the distance between Gram matrices of a random one-layer network.

    The input of the network is a log-mel spectrogram with 64 bands as channels, from 80 dB below the maximum of the
    excerpt (-0.5) to the maximum (0.5). The layer has 1024 random kernels 9 frames wide, and a ReLU. The Gram matrix
    is averaged over frames and excerpts.

    Returns:
      Frobenius norm of the difference of the Gram matrices, divided by that of the style's matrix, shape `(pairs,)`.
    """
    inputs = _KERNEL_FRAMES * _GRAM_BANDS
    kernel = jax.random.normal(jax.random.key(_GRAM_SEED), (_KERNELS, inputs)) * np.float32(np.sqrt(2 / inputs))

    def gram(wave: Samples) -> Float[Array, "features features"]:
        x = _level_db(wave, sample_rate, _GRAM_BANDS) / _RANGE_DB + 0.5
        frames = x.shape[-1] - _KERNEL_FRAMES + 1
        # A matrix product, because XLA's convolutions are slow in a loop on a CPU.
        patches = jnp.concatenate([x[:, i : i + frames] for i in range(_KERNEL_FRAMES)])
        features = jax.nn.relu(jnp.matmul(kernel, patches, precision=_EXACT))
        return jnp.matmul(features, features.T, precision=_EXACT) / frames

    def mean_gram(excerpts: Float[Array, "excerpts samples"]) -> Float[Array, "features features"]:
        zero = jnp.zeros((_KERNELS, _KERNELS))
        total = jax.lax.fori_loop(0, len(excerpts), lambda i, total: total + gram(excerpts[i]), zero)
        return total / len(excerpts)

    def distance(a: Float[Array, "n samples"], b: Float[Array, "m samples"]) -> Float[Array, ""]:
        target = mean_gram(b)
        return safe.divide(jnp.linalg.norm(mean_gram(a) - target), jnp.linalg.norm(target))

    return map_examples(distance)(result, style)


@partial(jax.jit, static_argnames="sample_rate")
def mfcc_distance(result: Excerpts, style: StyleExcerpts, sample_rate: int) -> Values:
    """Compute the distance between mel-frequency cepstral coefficients 2 to 13 (the first one is the level).

    The features of a sound are the means and the standard deviations over time of the twelve coefficients, averaged
    over excerpts. The distance is the root mean square difference of these 24 features, in dB.
    """

    def describe(wave: Samples) -> Float[Array, " numbers"]:
        coefficients = mfcc(_mel_power(wave, sample_rate, _MFCC_BANDS), 13)[1:]
        return jnp.concatenate([jnp.mean(coefficients, axis=-1), jnp.std(coefficients, axis=-1)])

    a, b = (jnp.mean(_map_excerpts(describe, wave), axis=1) for wave in (result, style))
    return _rms(a - b)


@partial(jax.jit, static_argnames="sample_rate")
def content_correlation(result: Waves, content: Waves, sample_rate: int) -> Values:
    """Compute Pearson's correlation between the log-magnitude envelopes of results and contents of the same length.

    The envelopes are those of 32 mel bands: the power in the band in dB, clipped to 80 dB below the maximum of the
    clip. The mean over time of each band is subtracted. The correlation is that of all values of all bands. So it does
    not depend on the mean spectrum: it is near 1 for the equalized content, and near 0 for unrelated sounds.

    Returns:
      Correlations in [-1, 1], of shape `(pairs,)`; 0 if the envelopes of either sound are constant.
    """

    def envelopes(wave: Samples) -> Float[Array, "bands frames"]:
        level_db = _level_db(wave, sample_rate, _ENVELOPE_BANDS)
        return level_db - jnp.mean(level_db, axis=-1, keepdims=True)

    def correlate(a: Samples, b: Samples) -> Float[Array, ""]:
        x, y = envelopes(a), envelopes(b)
        return safe.divide(jnp.sum(x * y), safe.sqrt(jnp.sum(x**2) * jnp.sum(y**2)))

    return map_examples(correlate)(result, content)


def _map_excerpts(function: Callable[[Samples], Array], excerpts: Excerpts) -> Array:
    """Apply a function of one wave to every excerpt: the result has shape `(pairs, excerpts, ...)`."""
    result = map_examples(function)(excerpts.reshape(-1, excerpts.shape[-1]))
    return result.reshape(*excerpts.shape[:2], *result.shape[1:])


def _mean_statistics(excerpts: Excerpts, sample_rate: int) -> TextureStatistics:
    """Compute texture statistics averaged over excerpts, with the logarithm of each kurtosis in its place."""
    statistics = texture_statistics(excerpts, sample_rate)
    # The kurtosis of a flat envelope is 0, otherwise it is 1 or more.
    logarithm = jnp.log(jnp.maximum(statistics.kurtosis, 1.0))
    return jax.tree.map(lambda x: jnp.mean(x, axis=1), statistics._replace(kurtosis=logarithm))


def _level_db(wave: Samples, sample_rate: int, bands: int) -> Float[Array, "bands frames"]:
    """Compute the mel spectrogram of a wave in dB relative to its maximum, clipped to -80 dB; 0 for silence."""
    level_db = power_to_db(_mel_power(wave, sample_rate, bands), range_db=_RANGE_DB)
    return level_db - jnp.max(level_db)


def _mel_power(wave: Samples, sample_rate: int, bands: int) -> Float[Array, "bands frames"]:
    """Compute the mel power spectrogram of a wave, scaled to a root mean square of 1 first."""
    transform = _transform(sample_rate)
    unit = safe.divide(wave, safe.sqrt(jnp.mean(wave**2)))
    return mel_from_wave(unit, transform, mel_filters(Mel(bands), sample_rate, transform.n_fft))


def _transform(sample_rate: int) -> Stft:
    """Return a transform with frames of about 46 ms (a power of 2 in samples), every quarter of a frame."""
    n_fft = 2 ** round(math.log2(sample_rate * 0.0464))
    return Stft(n_fft, n_fft // 4)


def _rms(x: Float[Array, "pairs ..."]) -> Values:
    """Compute the root mean square of each row."""
    return safe.sqrt(jnp.mean(x**2, axis=tuple(range(1, x.ndim))))
