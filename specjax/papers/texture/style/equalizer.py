"""Control for style transfer: the content, equalized to the mean spectrum of the style.

A style transfer method that does not get nearer to the style than this filter is no better than an equalizer.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.arrays.axes import pad_axis
from specjax.papers.texture.style.method import Waves
from specjax.papers.texture.style.source import Style, measure_each, split
from specjax.signal.fourier import irfft, rfft
from specjax.signal.polar import scaled
from specjax.signal.short_time_fourier import Stft, power

TRANSFORM = Stft(2048, 512)
RANGE_DB = 40.0

Spectra = Float[Array, "examples bins"]


def mean_power(style: Style) -> Float[Array, " bins"]:
    """Compute the mean power of a style in each frequency bin. The style is read in pieces."""
    frames = TRANSFORM.frames(style.samples)
    pieces = split(style, TRANSFORM, frames, context=0)
    total = sum(
        (jnp.sum(power(jnp.asarray(piece.wave), TRANSFORM.without_centering()), axis=-1) for piece in pieces),
        jnp.zeros(()),
    )
    return total / frames


def equalize(contents: Waves, styles: Sequence[Style]) -> Waves:
    """Filter each content so that its mean spectrum becomes that of its style, without shifting phases.

    The gains are limited to `RANGE_DB` below and above 0 dB.

    Args:
      contents: waves at the level `source.LEVEL`.
      styles: the style of each content.
    """
    target = jnp.stack(measure_each(mean_power, styles))
    return apply_gains(contents, spectral_gains(jnp.mean(power(contents, TRANSFORM), axis=-1), target))


def spectral_gains(source: Spectra, target: Spectra) -> Spectra:
    """Compute the gain of each bin that turns the mean power `source` into `target`, within `RANGE_DB`."""
    limit = 10 ** (RANGE_DB / 10)
    floor = jnp.maximum(1e-10 * jnp.max(source, axis=-1, keepdims=True), 1e-20)
    return jnp.sqrt(jnp.clip(target / jnp.maximum(source, floor), 1 / limit, limit))


def apply_gains(waves: Waves, gains: Spectra) -> Waves:
    """Apply a zero-phase filter to waves, given its gains at the bins of `TRANSFORM`."""
    samples = waves.shape[-1]
    padded = pad_axis(waves, 0, TRANSFORM.n_fft)  # so that the end of a wave does not reach its start
    spectrum = rfft(padded)
    position = jnp.linspace(0.0, TRANSFORM.bins - 1.0, spectrum.shape[-1])
    below = jnp.minimum(position.astype(jnp.int32), TRANSFORM.bins - 2)
    weight = (position - below.astype(jnp.float32))[None]
    curve = (1 - weight) * gains[:, below] + weight * gains[:, below + 1]
    return irfft(scaled(spectrum, curve), padded.shape[-1])[..., :samples]
