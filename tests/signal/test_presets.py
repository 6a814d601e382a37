"""Presets compared with librosa and with published files; conversion back to magnitudes; invalid arguments."""

import dataclasses

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import soundfile
from PIL import Image

from conftest import modes
from specjax.signal.mel import Mel
from specjax.signal.presets import (
    PRESETS,
    SCALES,
    Preset,
    Spectrogram,
    encode,
    magnitudes,
    spectrogram,
    wave_magnitudes,
)
from specjax.signal.short_time_fourier import Stft, magnitude

RNG = np.random.default_rng(0)
WAVE = (0.1 * RNG.standard_normal(12000)).astype(np.float32)


def librosa_spectrogram(name):
    """Spectrogram of `WAVE` with the convention of a preset, computed with librosa."""
    if name == "librosa":
        return librosa.feature.melspectrogram(y=WAVE, sr=22050)
    if name == "melodygan":
        mel = librosa.feature.melspectrogram(y=WAVE, sr=22050, htk=True, norm=None, pad_mode="reflect")
        return np.log(1e-5 + mel)
    if name == "mvnet":
        return np.log(1e-5 + librosa.feature.melspectrogram(y=WAVE, sr=22050, n_fft=1024, hop_length=256))
    if name == "ulyanov":
        return np.log1p(np.abs(librosa.stft(WAVE)))
    if name == "picture":
        levels = np.abs(librosa.stft(WAVE, n_fft=1024, hop_length=256))
        return np.maximum(20 * np.log10(np.maximum(levels / levels.max(), 1e-10)), -96) / 96 + 1
    levels = np.abs(librosa.stft(WAVE, n_fft=512, hop_length=128, center=False))
    db = np.maximum(20 * np.log10(np.maximum(levels / levels.max(), 1e-10)), -80) / 80 + 1
    return db[::-1, : db.shape[1] // 4 * 4]


@pytest.mark.parametrize("mode", ["plain", "jit", "vmap", "batch"])
@pytest.mark.parametrize("name", PRESETS)
def test_presets_match_librosa(name, mode):
    result = modes(lambda w: spectrogram(w, PRESETS[name]))[mode](jnp.asarray(WAVE))
    assert result.preset == PRESETS[name]
    np.testing.assert_allclose(result.values, librosa_spectrogram(name), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["AngryCrowd5.0", "roosters5.0"])
def test_wyse_preset_matches_published_files(name, real_data):
    """Compare with the files that Wyse published.

    In double precision, which librosa uses, the error is below 1e-5. In single precision one value in a thousand, near
    -80 dB, may exceed that.
    """
    wave, rate = soundfile.read(real_data / "wyse_pairs" / f"{name}.wav")
    assert rate == 22050
    published = np.asarray(Image.open(real_data / "wyse_pairs" / f"{name}.tif"))
    wave = np.pad(wave, (0, max(110250 - len(wave), 0)))[:110250]

    def error(dtype):
        return np.abs(np.asarray(spectrogram(jnp.asarray(wave, dtype), PRESETS["wyse"]).values) - published)

    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        assert error(np.float64).max() < 1e-5
    assert np.quantile(error(np.float32), 0.999) < 1e-5
    assert error(np.float32).max() < 5e-5


@pytest.mark.parametrize("gain", [1.0, 3e-3])
@pytest.mark.parametrize("scale", SCALES)
def test_magnitudes_invert_the_scale(scale, gain):
    preset = Preset(8000, Stft(256, 64), None, scale)
    wave = jnp.asarray(gain * WAVE, jnp.float32)
    expected = np.asarray(magnitude(wave, preset.transform))
    back = np.asarray(magnitudes(spectrogram(wave, preset), preset))
    if scale == "peak_db":
        expected = expected / expected.max()
    audible = expected > (0.02 if gain == 1 else 0.2) * expected.max()  # the offset in `log_power` is absolute
    np.testing.assert_allclose(back[audible], expected[audible], rtol=2e-3)


def test_common_peak_keeps_the_balance_of_the_channels():
    preset = Preset(8000, Stft(256, 64), None, "peak_db", range_db=60.0)
    waves = np.stack([WAVE, 0.1 * WAVE])
    levels = wave_magnitudes(jnp.asarray(waves, jnp.float32), preset)
    result = encode(levels, preset, jnp.max(levels))
    expected = np.abs(librosa.stft(waves, n_fft=256, hop_length=64))
    expected_db = librosa.amplitude_to_db(expected, ref=np.max, amin=1e-20, top_db=60.0)
    np.testing.assert_allclose(result.values, expected_db / 60 + 1, atol=1e-4)
    back = magnitudes(result, preset)
    assert float(jnp.max(back[1])) == pytest.approx(0.1 * float(jnp.max(back[0])), rel=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_spectrogram_encodes_the_magnitudes_of_the_wave(name):
    wave = jnp.asarray(WAVE, jnp.float32)
    result = encode(wave_magnitudes(wave, PRESETS[name]), PRESETS[name])
    np.testing.assert_array_equal(result.values, spectrogram(wave, PRESETS[name]).values)


def test_top_first_flips_the_rows():
    preset = PRESETS["wyse"]
    result = spectrogram(jnp.asarray(WAVE), preset)
    other = dataclasses.replace(preset, top_first=False)
    np.testing.assert_array_equal(spectrogram(jnp.asarray(WAVE), other).values, result.values[::-1])
    np.testing.assert_allclose(
        magnitudes(result, preset), magnitudes(Spectrogram(result.values[::-1], other), other), rtol=1e-6
    )


@pytest.mark.parametrize("name", PRESETS)
def test_silence_has_finite_magnitudes_and_gradients(name):
    def sum_of_magnitudes(w):
        return jnp.sum(magnitudes(spectrogram(w, PRESETS[name]), PRESETS[name]))

    value, gradient = jax.jit(jax.value_and_grad(sum_of_magnitudes))(jnp.zeros(6000))
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_spectrogram_of_another_preset_raises():
    result = spectrogram(jnp.asarray(WAVE), PRESETS["mvnet"])
    with pytest.raises(
        ValueError, match=r"computed with another preset: transform is Stft\(n_fft=1024.*; mel is .*scale="
    ):
        magnitudes(result, PRESETS["ulyanov"])


def test_invalid_presets_raise():
    with pytest.raises(ValueError, match="scale='db' is unknown: choose one of magnitude, power"):
        Preset(22050, Stft(), Mel(), "db")
    with pytest.raises(ValueError, match="must lie between 1000 and 768000"):
        Preset(0, Stft())
    for range_db in (0.0, 1e300, float("nan")):
        with pytest.raises(ValueError, match="must be above 0 and at most 200"):
            Preset(8000, Stft(), range_db=range_db)
    with pytest.raises(ValueError, match="a wave of 600 samples has fewer than 4 frames"):
        spectrogram(jnp.ones(600), PRESETS["wyse"])
