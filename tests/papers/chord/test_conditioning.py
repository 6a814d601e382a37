"""Target spectrograms against scipy's filters, applied stage by stage as in the authors' code."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import scipy.stats

from conftest import modes
from specjax.arrays import batching
from specjax.image import perlin
from specjax.papers.chord import conditioning, data, theory
from specjax.papers.chord.conditioning import Conditioning
from specjax.papers.chord.data import DigitsConfig

SIZE = 252
# The constants of the paper, scaled to a quarter of its size.
SMALL = partial(
    Conditioning,
    size=SIZE,
    row_mean=27.5,
    row_sigma=100.0,
    fade_mean=126.0,
    fade_sigma=62.5,
    smear_columns=5.0,
    noise_cells=(6, 6),
    overlay_cells=(6, 2),
)
MODES = ["plain", "jit", "vmap"]


@lru_cache
def load_real_digits():
    """Load real digits, with their margins, and their labels."""
    train, _ = data.load(DigitsConfig())
    return train.image[:10] / np.float32(255), train.label[:10]


@pytest.fixture
def digit():
    return np.random.default_rng(0).random((28, 28), np.float32)


def upscale(digit, c):
    """Upscale a digit with scipy (section 2.1)."""
    if c.resampling == "fft":
        picture = scipy.signal.resample(scipy.signal.resample(digit.astype(float), c.size, axis=0), c.size, axis=1)
    else:
        order = {"bilinear": 1}[c.resampling]
        picture = scipy.ndimage.zoom(digit.astype(float), c.size // 28, order=order, mode="nearest", grid_mode=True)
    return np.round(np.clip(picture, 0, 1) * 255) / 255 if c.quantise else picture


def compute_scipy_spectrogram(digit, c, label, quality="major"):
    """Compute the spectrogram before noise and normalization with scipy (sections 2.1 to 2.4)."""
    picture = upscale(digit, c)
    if c.carry == "envelope":
        picture = np.tile(picture.mean(axis=0), (c.size, 1))
    index = np.arange(c.size)
    picture = picture * scipy.stats.norm.pdf(index, c.row_mean, c.row_sigma)[:, None]
    picture = picture * scipy.stats.norm.pdf(index, c.fade_mean, c.fade_sigma)[None, :]
    kept = theory.partial_rows(label, quality, c.partials, c.size, c.base_hz)
    picture = np.where(np.isin(index, kept)[:, None], picture, 0)
    picture = scipy.ndimage.gaussian_filter1d(picture, c.smear_rows, axis=0)
    picture = scipy.ndimage.gaussian_filter1d(picture, c.smear_columns, axis=1)
    return scipy.ndimage.gaussian_filter(picture, c.smooth) if c.smooth else picture


def normalize(x):
    return (x - x.min()) / (x.max() - x.min())


def compute_target(digit, c, label=1, quality=0, key=None, labels=3, qualities=("major",)):
    ops = conditioning.operators(c, labels, qualities)
    digit = jnp.asarray(digit)
    return np.asarray(conditioning.target(ops, c, digit, jnp.int32(label), jnp.int32(quality), key))


class TestAgainstScipy:
    @pytest.mark.parametrize("carry", ["pixels", "envelope"])
    @pytest.mark.parametrize("resampling", ["bilinear", "fft"])
    @pytest.mark.parametrize("partials", ["octaves", "harmonics", "divisible"])
    def test_noise_free_target_matches_scipy(self, digit, partials, resampling, carry):
        c = SMALL(partials=partials, carry=carry, resampling=resampling)
        np.testing.assert_allclose(
            compute_target(digit, c), normalize(compute_scipy_spectrogram(digit, c, 1)), atol=2e-5
        )

    @pytest.mark.parametrize("carry", ["pixels", "envelope"])
    def test_target_of_quantized_digit_matches_scipy(self, carry):
        """The digit is rounded and clipped after upscaling, as in the authors' image files.

        A level almost halfway between two may be rounded differently on different processors.
        """
        image, label = load_real_digits()[0][0], int(load_real_digits()[1][0])
        c = SMALL(partials="harmonics", carry=carry, resampling="fft", quantise=True)
        error = np.abs(compute_target(image, c, label) - normalize(compute_scipy_spectrogram(image, c, label)))
        assert error.max() < 1e-3
        assert np.quantile(error, 0.99) < 2e-5

    @pytest.mark.parametrize("smooth", [0.7, 3.0])
    def test_smoothing_is_applied_after_smearing(self, digit, smooth):
        c = SMALL(partials="octaves", carry="pixels", smooth=smooth)
        np.testing.assert_allclose(
            compute_target(digit, c), normalize(compute_scipy_spectrogram(digit, c, 1)), atol=2e-5
        )

    @pytest.mark.parametrize("quality", theory.QUALITIES)
    def test_target_of_every_quality_matches_scipy(self, digit, quality):
        c = SMALL(partials="triad", carry="envelope")
        index = theory.QUALITY_NAMES.index(quality)
        result = compute_target(digit, c, 2, index, qualities=theory.QUALITY_NAMES)
        np.testing.assert_allclose(result, normalize(compute_scipy_spectrogram(digit, c, 2, quality)), atol=2e-5)

    @pytest.mark.parametrize("mode", MODES)
    def test_spectrogram_before_normalization_matches_scipy_up_to_scale(self, digit, mode):
        c = SMALL(partials="octaves", carry="pixels")
        ops = conditioning.operators(c, 3)
        function = partial(conditioning.smooth_spectrogram, ops, c)
        result = modes(function)[mode](jnp.asarray(digit), jnp.int32(2), jnp.int32(0))
        expected = compute_scipy_spectrogram(digit, c, 2)
        np.testing.assert_allclose(result / np.max(result), expected / expected.max(), atol=2e-5)

    @pytest.mark.parametrize("mode", MODES)
    def test_noisy_target_is_normalized_product_with_noise_field(self, digit, mode, key):
        c = SMALL(partials="harmonics", carry="pixels", noise_dilution=3.0)
        ops = conditioning.operators(c, 3)
        result = modes(partial(conditioning.target, ops, c))[mode](jnp.asarray(digit), jnp.int32(1), jnp.int32(0), key)
        noise = conditioning.noise_field(jax.random.split(key)[0], c)
        expected = normalize(compute_scipy_spectrogram(digit, c, 1) * np.asarray(noise, float))
        np.testing.assert_allclose(result, expected, atol=2e-5)
        assert np.abs(result - compute_target(digit, c)).max() > 0.05  # the noise has an effect

    def test_overlay_is_added_to_noisy_target(self, digit, key):
        """The overlay is added at the scale where both Gaussian weights peak at 1."""
        c = SMALL(partials="triad", overlay=0.3)
        noise_key, overlay_key = jax.random.split(key)
        field = np.asarray(perlin.perlin_noise(overlay_key, (SIZE, SIZE), (6, 2)), float) + 20
        plain = compute_scipy_spectrogram(digit, c, 1)
        plain *= 2 * np.pi * c.row_sigma * c.fade_sigma
        noisy = plain * np.asarray(conditioning.noise_field(noise_key, c), float) + 0.3 * field / field.max()
        np.testing.assert_allclose(compute_target(digit, c, key=key), normalize(noisy), atol=3e-4)

    def test_target_of_the_papers_size_matches_scipy(self):
        image, label = load_real_digits()[0][3], int(load_real_digits()[1][3])
        c = Conditioning(resampling="fft", quantise=True, partials="divisible", carry="pixels")
        result = compute_target(image, c, label, labels=label + 1)
        np.testing.assert_allclose(result, normalize(compute_scipy_spectrogram(image, c, label)), atol=2e-5)


@pytest.mark.parametrize("columns", [SIZE // 2, SIZE // 4])
def test_fewer_columns_are_means_of_adjacent_columns(digit, columns):
    """The means peak slightly below 1, and the normalization scales them to 1 again."""
    c = SMALL(partials="octaves", carry="envelope")
    full = compute_target(digit, c)
    pooled = full.reshape(SIZE, columns, -1).mean(axis=-1)
    ops = conditioning.operators(c, 3, columns=columns)
    few = conditioning.target(ops, c, jnp.asarray(digit), jnp.int32(1), jnp.int32(0), None)
    assert few.shape == (SIZE, columns)
    np.testing.assert_allclose(few, normalize(pooled), atol=2e-5)


def test_noise_with_fewer_columns_samples_the_same_field(digit, key):
    """Perlin noise is smooth along columns, so fewer columns lie close to every second column of the full field."""
    full, few = (np.asarray(conditioning.noise_field(key, SMALL(), n)) for n in (SIZE, SIZE // 2))
    np.testing.assert_allclose(few, full[:, ::2], rtol=2e-3)


class TestNoise:
    @pytest.mark.parametrize(
        ("options", "mode"),
        [({}, "plain"), ({}, "jit"), ({}, "vmap")]
        + [(options, "jit") for options in ({"noise_octaves": 3, "noise_dilution": 2.5}, {"noise_fuzz": 0.5})],
    )
    def test_field_is_positive_and_peaks_at_one(self, options, mode, key):
        field = np.asarray(modes(lambda k: conditioning.noise_field(k, SMALL(**options)))[mode](key))
        assert field.shape == (SIZE, SIZE)
        assert field.min() > 0
        assert field.max() == 1.0

    def test_field_is_perlin_noise_plus_dilution_divided_by_its_maximum(self, key):
        c = SMALL(noise_dilution=20.0)
        noise = np.asarray(perlin.perlin_noise(jax.random.split(key)[0], (SIZE, SIZE), (6, 6)), float)
        expected = (noise + 20) / (noise + 20).max()
        np.testing.assert_allclose(conditioning.noise_field(key, c), expected, atol=1e-6)

    def test_larger_dilution_weakens_the_noise(self, key):
        spans = [np.ptp(np.asarray(conditioning.noise_field(key, SMALL(noise_dilution=d)))) for d in (2.0, 20.0, 200.0)]
        assert spans[0] > spans[1] > spans[2] > 0

    def test_fuzz_is_independent_between_pixels(self, key):
        fuzzy, plain = (np.asarray(conditioning.noise_field(key, SMALL(noise_fuzz=f))) for f in (0.5, 0.0))
        assert np.abs(np.diff(fuzzy, axis=0)).mean() > 5 * np.abs(np.diff(plain, axis=0)).mean()

    def test_different_keys_give_different_targets(self, digit):
        first, second = (compute_target(digit, SMALL(), key=jax.random.key(seed)) for seed in (0, 1))
        assert np.abs(first - second).max() > 1e-3


class TestRange:
    @pytest.mark.parametrize("carry", ["pixels", "envelope"])
    @pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "fft"])
    @pytest.mark.parametrize("key", [None, jax.random.key(3)], ids=["clean", "noisy"])
    def test_target_spans_zero_to_one(self, digit, carry, resampling, key):
        result = compute_target(digit, SMALL(partials="octaves", carry=carry, resampling=resampling), key=key)
        assert result.dtype == np.float32
        assert result.min() == 0.0
        assert result.max() == pytest.approx(1.0, abs=1e-5)

    @pytest.mark.parametrize("carry", ["pixels", "envelope"])
    @pytest.mark.parametrize("key", [None, jax.random.key(3)], ids=["clean", "noisy"])
    def test_blank_digit_gives_all_zero_target(self, carry, key):
        result = compute_target(np.zeros((28, 28), np.float32), SMALL(partials="octaves", carry=carry), key=key)
        np.testing.assert_array_equal(result, 0.0)

    @pytest.mark.parametrize("mode", MODES)
    def test_min_max_matches_the_papers_formula(self, mode):
        x = np.random.default_rng(1).normal(3, 2, (9, 9)).astype(np.float32)
        result = modes(conditioning.min_max)[mode](jnp.asarray(x))
        np.testing.assert_allclose(result, (x - x.min()) / (x.max() - x.min() + 1e-8), rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(conditioning.min_max(jnp.full((9, 9), 0.3)), 0.0)


class TestLiteralFormula:
    """The rows of a digit's chord lie in its blank top margin, within the top two of its 28 rows."""

    def test_literal_triad_gives_all_zero_spectrogram(self):
        images, labels = load_real_digits()
        c = Conditioning(partials="triad", carry="pixels")
        ops = conditioning.operators(c)
        function = jax.jit(partial(conditioning.smooth_spectrogram, ops, c))
        for image, label in zip(images[:3], labels[:3], strict=True):
            np.testing.assert_array_equal(function(jnp.asarray(image), jnp.int32(label), jnp.int32(0)), 0.0)

    def test_literal_triad_with_fft_resampling_selects_only_ringing(self):
        """The rows of the chord reach at most a tenth of the level of the ink."""
        image = load_real_digits()[0][0]
        rows = theory.chord_rows(0)
        picture = upscale(image, Conditioning(resampling="fft"))
        assert 0 < np.abs(picture[rows]).max() < 0.1 * picture.max()

    def test_envelope_of_chord_rows_follows_every_digit(self):
        images, labels = load_real_digits()
        for image, label in zip(images, labels, strict=True):
            result = compute_target(image, SMALL(partials="triad", carry="envelope"), int(label), labels=10)
            columns = np.repeat(image.mean(axis=0), SIZE // 28)
            rows = theory.chord_rows(int(label))
            assert np.corrcoef(result[rows].mean(axis=0), columns)[0, 1] > 0.8


class TestBatches:
    @pytest.mark.parametrize("backend", ["cpu", "gpu"], ids=["one example at a time", "vmap"])
    @pytest.mark.parametrize("noisy", [False, True])
    def test_batch_equals_its_single_targets(self, backend, noisy, monkeypatch):
        monkeypatch.setattr(batching.jax, "default_backend", lambda: backend)
        images, labels = (jnp.asarray(x[:3]) for x in load_real_digits())
        c = SMALL(size=112, partials="octaves")
        ops = conditioning.operators(c, 10, ("major", "minor"))
        qualities = jnp.array([0, 1, 0])
        keys = jax.random.split(jax.random.key(1), 3) if noisy else None
        result = jax.jit(lambda *args: conditioning.targets(ops, c, *args))(images, labels, qualities, keys)
        for i in range(3):
            key = keys[i] if noisy else None
            expected = conditioning.target(ops, c, images[i], labels[i], qualities[i], key)
            np.testing.assert_allclose(result[i], expected, atol=2e-6)


class TestOperators:
    def test_shapes_and_dtypes_of_matrices(self):
        c = SMALL(partials="triad", carry="pixels")
        ops = conditioning.operators(c, 2)
        assert ops.spread.shape == (2, 1, SIZE, 3)
        assert ops.select.shape == (2, 1, 3, 28)
        assert ops.time.shape == ops.upscale.shape == (SIZE, 28)
        assert all(x.dtype == np.float32 for x in (ops.spread, ops.select, ops.time, ops.upscale))

    def test_shorter_chords_are_padded_with_zeros(self):
        ops = conditioning.operators(SMALL(), 2, ("major", "7"))
        assert ops.spread.shape[-1] == 4
        np.testing.assert_array_equal(ops.spread[:, 0, :, 3], 0)
        np.testing.assert_array_equal(ops.select[:, 0, 3], 0)

    def test_label_whose_chord_passes_the_last_row_raises(self):
        with pytest.raises(ValueError, match="past the last of 112 rows"):
            conditioning.operators(SMALL(size=112), 30)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"carry": "pitch"}, "carry='pitch' is unknown: choose envelope or pixels"),
        ({"size": 27}, "conditioning.size=27 is out of range: a target has from 28 to 4096 rows"),
        ({"row_sigma": 0.0}, "row_sigma=0.0 and fade_sigma=250.0 must be above 0"),
        ({"fade_sigma": -1.0}, "must be above 0"),
        ({"smear_rows": -1.0}, "smear_rows=-1.0, .* must not be negative"),
        ({"overlay": -0.1}, "overlay=-0.1 must not be negative"),
        ({"noise_dilution": 1.0}, "noise_dilution=1.0 and overlay_dilution=20.0 must exceed 1"),
        ({"overlay_dilution": 0.5}, "overlay_dilution=0.5 must exceed 1"),
        ({"epsilon": 0.0}, "epsilon"),  # a blank digit would be 0 / 0
        ({"noise_cells": (0, 24)}, "cells"),
        ({"resampling": "lanczos"}, "resampling"),
        ({"partials": "odd"}, "partials"),
    ],
)
def test_invalid_options_raise(options, message):
    with pytest.raises(ValueError, match=message):
        conditioning.operators(Conditioning(**options), 1)


def test_labels_beyond_the_table_are_errors_where_they_are_known(digit):
    c = SMALL()
    ops = conditioning.operators(c, labels=10)
    with pytest.raises(ValueError, match="label is 12, expected 0 to 9"):
        conditioning.target(ops, c, digit, 12, 0, None)
    with pytest.raises(ValueError, match="quality is -1, expected 0 to 0"):
        conditioning.targets(ops, c, digit[None], [3], [-1], None)
    with pytest.raises(ValueError, match="target: digit is uint8 of shape .*: scale integers to floats first"):
        conditioning.target(ops, c, np.zeros((28, 28), np.uint8), 3, 0, None)
