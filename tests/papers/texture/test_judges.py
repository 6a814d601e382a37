"""Judges of style transfer: equal sounds, excerpts of one texture, levels, silence, long styles, and tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from specjax.papers.texture import judges, sounds
from specjax.papers.texture.judges import (
    JUDGES,
    STYLE_JUDGES,
    TEXTURE_SCALES,
    content_correlation,
    cut_excerpts,
    format_table,
    judge,
    mfcc_distance,
    texture_distances,
)
from specjax.signal.mel import Mel, mel_filters
from specjax.signal.short_time_fourier import Stft, power

RATE = 8000
RNG = np.random.default_rng(0)


def make_textures(seed):
    """Make white noise, low noise modulated at 8 Hz, and high noise in sparse bursts, one second each."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((3, RATE))
    noise[1], noise[2] = np.convolve(noise[1], [1, 0.9], "same"), np.convolve(noise[2], [1, -0.9], "same")
    time_s = np.arange(RATE) / RATE
    noise[1] *= 1 + np.sin(2 * np.pi * (8 * time_s + rng.uniform()))
    noise[2] *= np.convolve(rng.uniform(size=RATE) < 10 / RATE, np.exp(-np.arange(400) / 40))[:RATE]
    return jnp.asarray(noise / np.abs(noise).max(axis=1, keepdims=True), jnp.float32)


FIRST, SECOND = make_textures(0), make_textures(1)


@pytest.fixture(scope="module")
def judge_values():
    """Judges of textures compared with themselves, other excerpts, other textures, a louder copy, and silence."""
    silence = jnp.zeros_like(FIRST)
    results = {
        "self": (FIRST, FIRST),
        "same": (FIRST, SECOND),
        "other": (FIRST, jnp.roll(SECOND, 1, axis=0)),
        "louder": (10 * FIRST, SECOND),
        "silent result": (silence, SECOND),
        "silent style": (FIRST, silence),
        "silence": (silence, silence),
    }
    return {name: judge(result, FIRST, style, RATE) for name, (result, style) in results.items()}


def test_judges_are_perfect_for_equal_sounds(judge_values):
    for name in STYLE_JUDGES:
        np.testing.assert_allclose(judge_values["self"][name], 0, atol=1e-5)
    np.testing.assert_allclose(judge_values["self"]["content"], 1, atol=1e-5)


@pytest.mark.parametrize("name", STYLE_JUDGES)
def test_excerpts_of_one_texture_are_nearer_than_other_textures(judge_values, name):
    assert np.all(judge_values["same"][name] < 0.7 * judge_values["other"][name])


def test_judges_do_not_depend_on_the_level(judge_values):
    for name in JUDGES:
        np.testing.assert_allclose(judge_values["louder"][name], judge_values["same"][name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("case", ["silent result", "silent style", "silence"])
def test_judges_of_silence_are_finite(judge_values, case):
    assert judge_values[case].keys() == set(JUDGES)
    for values in judge_values[case].values():
        assert values.shape == (3,)
        assert np.all(np.isfinite(values))


def test_content_correlation_is_pearsons_of_centered_levels():
    transform = Stft(512, 128)
    filters = mel_filters(Mel(32), RATE, 512)
    levels = []
    for wave in (FIRST[1], SECOND[1]):
        level = 10 * np.log10(filters @ np.asarray(power(wave, transform)))
        level = np.maximum(level, level.max() - 80)
        levels.append(level - level.mean(axis=1, keepdims=True))
    expected = scipy.stats.pearsonr(levels[0].ravel(), levels[1].ravel()).statistic
    result = content_correlation(FIRST, SECOND, RATE)[1]
    assert float(result) == pytest.approx(expected, abs=1e-3)


def test_content_correlation_stays_high_under_a_constant_filter():
    filtered = np.asarray([np.convolve(wave, [1, -0.9], mode="same") for wave in FIRST], np.float32)
    assert np.all(np.asarray(content_correlation(jnp.asarray(filtered), FIRST, RATE)) > 0.9)


def test_excerpts_cover_the_wave_from_start_to_end():
    wave = jnp.arange(250.0)[None]
    np.testing.assert_array_equal(cut_excerpts(wave, 100)[0, :, 0], [0, 75, 150])
    np.testing.assert_array_equal(cut_excerpts(wave, 250), wave[:, None])
    assert cut_excerpts(jnp.zeros((2, 10_000)), 100).shape == (2, 16, 100)


def test_a_long_style_is_judged_by_the_mean_of_its_excerpts(judge_values):
    excerpts = cut_excerpts(jnp.tile(SECOND, (1, 3)), RATE)
    np.testing.assert_allclose(mfcc_distance(FIRST[:, None], excerpts, RATE), judge_values["same"]["mfcc"], rtol=1e-3)


def test_table_lists_means_with_intervals_and_shares_of_pairs_nearer_to_the_style():
    near = {"texture": 0.1, "gram": 0.2, "mfcc": 1.0, "content": 0.9}
    measures = {
        "equalized": {name: np.full(20, value + 0.05) for name, value in near.items()},
        "ours": {name: np.full(20, value) + np.repeat([0, 0.1], [16, 4]) for name, value in near.items()},
    }
    header, _, equalized, ours = format_table(measures, "equalized").splitlines()
    assert header.startswith("|  | texture | gram | mfcc | content | nearer in texture than equalized |")
    assert equalized == "| equalized | 0.150 ± 0.000 | 0.250 ± 0.000 | 1.050 ± 0.000 | 0.950 ± 0.000 |  |  |  |"
    assert ours.startswith("| ours | 0.120 ± 0.019 |")
    assert ours.endswith("| 80% (58 to 92) | 80% (58 to 92) | 80% (58 to 92) |")
    with pytest.raises(ValueError, match="reference 'theirs' is unknown: choose one of equalized, ours"):
        format_table(measures, "theirs")


@pytest.mark.long
def test_scales_are_the_differences_between_kinds_of_synthetic_sounds():
    clips = 80
    labels = jnp.arange(clips) % 10
    waves = sounds.synthesize(jax.random.split(jax.random.key(5), clips), labels)[:, None]
    one, two = np.triu_indices(clips, 1)
    different = np.asarray(labels)[one] != np.asarray(labels)[two]
    one, two = one[different], two[different]
    statistics = judges._mean_statistics(waves, 22050)
    for name, scale in TEXTURE_SCALES.items():
        values = np.asarray(getattr(statistics, name)).reshape(clips, -1)
        assert np.sqrt(np.mean((values[one] - values[two]) ** 2)) == pytest.approx(scale, rel=0.1)
    assert texture_distances(waves[:2], waves[:2], 22050).keys() == TEXTURE_SCALES.keys()
