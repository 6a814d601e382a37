"""Style transfer of sounds: lengths, levels, stereo, batches, styles read in pieces, interruption, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.texture.style import networks, ulyanov, wyse
from specjax.papers.texture.style.source import LEVEL, Style, split
from specjax.papers.texture.style.transfer import transfer
from specjax.papers.texture.style.ulyanov import Ulyanov
from specjax.papers.texture.style.wyse import Wyse
from specjax.signal.inversion import Inversion
from specjax.signal.presets import spectrogram
from specjax.signal.short_time_fourier import Stft, magnitude

SAMPLES = 13_001


def noise(seed, *shape):
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


STYLES = [[noise(1, 15_000)], [noise(2, 20_000)]]
READS = {Ulyanov: 2, Wyse: 3}  # for the level of a style, for its maximum (Wyse), and for its statistics
FAST = Inversion("fast_griffin_lim", ("zero",), iterations=2)
METHODS = {"ulyanov": Ulyanov(filters=8, steps=3, inversion=FAST), "wyse": Wyse(filters=8, steps=3, inversion=FAST)}


class Counted:
    """Blocks of a wave that count how often they are read."""

    def __init__(self, blocks):
        self.blocks, self.reads = blocks, 0

    def __iter__(self):
        self.reads += 1
        return iter(self.blocks)


@pytest.fixture(scope="module", params=METHODS)
def method(request):
    return METHODS[request.param]


@pytest.fixture(scope="module")
def results(method):
    """Two stereo pairs at once: contents, the result, and styles."""
    contents = noise(0, 2, 2, SAMPLES)
    contents[1, 1] = 0
    styles = [Counted(blocks) for blocks in STYLES]
    return contents, transfer(contents, styles, method, chunk=1), styles


def test_style_is_measured_once_for_both_channels(results, method):
    *_, styles = results
    assert [style.reads for style in styles] == 2 * [READS[type(method)]]


def test_result_is_as_long_and_as_loud_as_the_content(results):
    contents, result, _ = results
    assert result.waves.shape == contents.shape
    assert not result.interrupted
    assert np.all(result.history[-1] < result.history[0])
    rms = np.sqrt(np.mean(contents**2, axis=(1, 2)))
    np.testing.assert_allclose(np.sqrt(np.mean(result.waves**2, axis=(1, 2))), rms, rtol=1e-5)


def test_silent_channel_stays_silent(results):
    _, result, _ = results
    assert not result.waves[1, 1].any()
    assert result.waves[1, 0].any()


def test_results_depend_neither_on_the_gain_nor_on_the_rest_of_the_batch(results, method):
    contents, result, _ = results
    others = np.concatenate([10 * contents[:1], noise(5, 1, 2, SAMPLES)])
    styles = [[100 * STYLES[0][0]], [noise(6, 15_000)]]
    actual = transfer(others, styles, method, chunk=1)
    np.testing.assert_allclose(actual.waves[0] / 10, result.waves[0], atol=2e-3 * np.abs(result.waves).max())


def test_interruption_keeps_the_best_result_so_far(method):
    def stop(done, total, loss):
        assert (total, np.isfinite(loss)) == (3, True)
        if done == 2:
            raise KeyboardInterrupt

    contents = noise(0, 2, 2, SAMPLES)
    result = transfer(contents, STYLES, method, chunk=1, report=stop)
    assert result.interrupted
    assert len(result.history) == 2
    assert result.waves.shape == contents.shape


def test_pieces_have_the_frames_of_the_whole():
    transform, wave = Stft(64, 16), noise(0, 1000)
    blocks = np.split(wave, [3, 3, 400, 401])
    style = Style.measure(blocks, 1)
    assert style.samples == 1000
    pieces = list(split(style, transform, 63, context=5, length=20))
    assert [(piece.before, piece.after) for piece in pieces] == [(0, 5), (5, 5), (5, 3), (5, 0)]

    def cut_frames(wave):
        return np.lib.stride_tricks.sliding_window_view(wave, 64)[::16]

    frames = [cut_frames(piece.wave) for piece in pieces]
    kept = [x[piece.before : len(x) - piece.after] for x, piece in zip(frames, pieces, strict=True)]
    whole = np.pad(wave * LEVEL / np.sqrt(np.mean(wave**2)), transform.padding)
    np.testing.assert_allclose(np.concatenate(kept), cut_frames(whole), rtol=1e-5)


def test_statistics_of_ulyanov_in_pieces_equal_those_of_the_whole(key):
    wave = noise(0, 1030 * 512)
    kernel = networks.random_kernel(key, 11, 1025, 4)
    actual = ulyanov.style_gram(Style.measure(np.split(wave, 5), 1), kernel)
    scaled = jnp.asarray(wave * (LEVEL / np.sqrt(np.mean(wave**2))))
    compute = jax.jit(lambda wave: ulyanov.random_features(spectrogram(wave, ulyanov.PRESET).values.T, kernel))
    features = np.asarray(compute(scaled))
    np.testing.assert_allclose(actual.rows.T @ actual.rows, features.T @ features / len(features), rtol=1e-4)


def test_statistics_of_wyse_in_pieces_equal_those_of_the_whole(key):
    wave = noise(0, 1050 * 128)
    params = networks.random_params(key, 257, (4, 3))
    first, second = wyse.style_grams(Style.measure(np.split(wave, 5), 1), params)
    actual = (first.rows.T @ first.rows, second)
    compute = jax.jit(lambda wave: networks.activations(255 * spectrogram(wave, wyse.PRESET).values.T, params))
    for matrix, layer in zip(actual, compute(jnp.asarray(wave)), strict=True):
        features = np.asarray(layer)
        np.testing.assert_allclose(matrix, features.T @ features / len(features), rtol=1e-4)


def test_values_of_wyse_are_decoded_to_the_magnitudes():
    @jax.jit
    def code(wave):
        levels = magnitude(wyse.cover(wave), wyse.PRESET.transform)
        peak = jnp.max(levels, axis=(-2, -1), keepdims=True)
        values = wyse.encode(levels, peak)
        return levels, values, peak * wyse.decode(values)

    levels, values, decoded = code(jnp.asarray(noise(0, 1, SAMPLES)))
    assert levels.shape[-1] % 4 == 0
    assert float(values.min()) >= 0
    assert float(values.max()) == 255
    np.testing.assert_allclose(decoded, levels, atol=2e-4 * float(levels.max()))


def test_invalid_sounds_raise_errors(method):
    content, style = noise(0, 1, 1, SAMPLES), [noise(1, SAMPLES)]
    with pytest.raises(ValueError, match="content has 100 samples, expected at least"):
        transfer(content[..., :100], [style], method)
    with pytest.raises(ValueError, match="style has 100 samples, expected at least"):
        transfer(content, [[style[0][:100]]], method)
    with pytest.raises(ValueError, match="a content is silent"):
        transfer(0 * content, [style], method)
    with pytest.raises(ValueError, match="the style is silent"):
        transfer(content, [[0 * style[0]]], method)
    with pytest.raises(ValueError, match="1 contents and 2 styles"):
        transfer(content, [style, style], method)
