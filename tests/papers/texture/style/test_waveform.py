"""The method `waveform` and its control: statistics in pieces, autocorrelation, gradients, the equalizer's spectrum."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.texture.style import equalizer, waveform, waveform_statistics
from specjax.papers.texture.style.source import LEVEL, Style, split
from specjax.papers.texture.style.transfer import transfer
from specjax.papers.texture.style.waveform import Waveform
from specjax.papers.texture.style.waveform_statistics import LAGS, lagged_products
from specjax.signal.short_time_fourier import power

RATE = 22050
TINY = Waveform(filters=2, linear_filters=4, steps=3)


def noise(seed, samples):
    """Noise whose level rises and falls four times a second."""
    wave = np.random.default_rng(seed).standard_normal(samples) * (
        1.2 + np.sin(2 * np.pi * 4 * np.arange(samples) / RATE)
    )
    return (LEVEL * wave / np.sqrt(np.mean(wave**2))).astype(np.float32)


def make_dark_noise(seed, samples):
    """Noise whose high frequencies are 20 dB below its low ones."""
    wave = np.convolve(noise(seed, samples), [0.55, 0.45], "same")
    return (LEVEL * wave / np.sqrt(np.mean(wave**2))).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    """Random filters of the narrowest and of the widest shape."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waveform_statistics, "SHAPES", (waveform_statistics.SHAPES[0], waveform_statistics.SHAPES[-1]))
        yield jax.jit(partial(waveform_statistics.random_network, filters=2, linear_filters=4))(jax.random.key(0))


def split_in_two(style, transform, frames, *, context):
    return split(style, transform, frames, context=context, length=-(-frames // 2))


def test_statistics_in_pieces_equal_those_of_the_whole(network, monkeypatch):
    """Against the whole wave, all terms are zero."""
    monkeypatch.setattr(waveform_statistics, "split", split_in_two)
    wave = noise(0, 400 * 512)
    frames = waveform_statistics.resolution_transform(1).frames(len(wave))
    statistics = waveform_statistics.measure_style(Style.measure(np.split(wave, 4), 1), network, RATE, frames)
    content = waveform_statistics.content_features(jnp.asarray(wave), RATE)
    other = waveform_statistics.measure_style(Style.measure([noise(1, len(wave))], 1), network, RATE, frames)
    compute = jax.jit(partial(waveform.compute_terms, sample_rate=RATE))
    same, different = (compute(jnp.asarray(wave), content, style, network) for style in (statistics, other))
    for name in ("grams", "linear", "rhythm"):
        assert getattr(same, name) < 1e-5 * getattr(different, name), name
    assert max(same.bands, same.envelope) < 1e-6


def test_lagged_products_agree_with_numpy():
    bands = np.random.default_rng(0).standard_normal((200, 3)).astype(np.float32)
    expected = [np.sum(bands[: 200 - lag] * bands[lag:], axis=0) for lag in range(LAGS)]
    compute = jax.jit(lagged_products, static_argnums=1)
    np.testing.assert_allclose(compute(jnp.asarray(bands)), expected, atol=1e-4)
    parts = compute(jnp.asarray(bands), LAGS) + compute(jnp.asarray(bands[50:]))
    np.testing.assert_allclose(parts, expected, atol=1e-4)


@pytest.mark.long
def test_loss_falls_from_that_of_the_equalized_content():
    """At the start the Gram terms are 1 each, and the autocorrelation adds its weight."""
    result = transfer(noise(0, 9_001)[None, None], [[make_dark_noise(1, 12_000)]], TINY, chunk=1)
    assert result.waves.shape == (1, 1, 9_001)
    assert np.all(np.diff(result.history[:, 0]) < 0)
    assert 2.3 <= result.history[0, 0] < 3


def test_equalizer_gives_the_mean_spectrum_of_the_style_and_keeps_time():
    content, style = noise(0, 40_000), make_dark_noise(1, 40_000)
    result = equalizer.equalize(jnp.asarray(content)[None], [Style.measure(np.split(style, 2), 1)])
    assert result.shape == (1, 40_000)
    mean = [jnp.mean(power(jnp.asarray(wave), equalizer.TRANSFORM), axis=-1) for wave in (result[0], style)]
    error_db = 10 * np.log10(np.asarray(mean[0] / mean[1]))
    assert np.sqrt(np.mean(error_db[5:-5] ** 2)) < 1
    # A filter of equal spectra is the identity.
    same = equalizer.equalize(jnp.asarray(content)[None], [Style.measure([content], 1)])
    np.testing.assert_allclose(same[0], content, atol=1e-5)
