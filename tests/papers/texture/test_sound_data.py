"""Data sets of sounds: layouts of folders, folds, spectrograms and classes of the spectral centroid."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import psutil
import pytest
import soundfile

from specjax.cli.errors import UserError
from specjax.papers.texture import data
from specjax.papers.texture.data import SoundsConfig
from specjax.papers.texture.representation import Representation

RATE = 8000
COARSE = Representation(sample_rate=RATE, n_fft=256, hop_length=128)
SHORT = SoundsConfig(duration_s=0.5)
HZ = {"low": 300, "high": 2500}


def write_tone(path, hz, seed=0):
    """Write half a second of a tone with a little noise."""
    wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(RATE // 2) / RATE)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave + 0.001 * np.random.default_rng(seed).normal(size=len(wave)), RATE)


@pytest.fixture
def esc(tmp_path):
    """A folder in the layout of ESC-50: two classes, five folds, one sound per fold and class."""
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in range(1, 6):
        for target, (name, hz) in enumerate(HZ.items()):
            write_tone(tmp_path / "audio" / f"{fold}-1-A-{target}.wav", hz + 10 * fold, fold)
            lines.append(f"{fold}-1-A-{target}.wav,{fold},{target},{name},True,1,A")
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "esc50.csv").write_text("\n".join(lines))
    return tmp_path


def test_esc_layout_keeps_its_folds(esc):
    config = data.resolve_classes(replace(SHORT, source=str(esc), held_out_folds=(2,)))
    assert config.classes == ("high", "low")
    train, held_out = data.load(config, COARSE, 2)
    assert (len(train.label), len(held_out.label)) == (8, 2)
    loudest_hz = COARSE.row_hz[held_out.levels.mean(2).argmax(1)]
    np.testing.assert_allclose(loudest_hz, [320, 2520], atol=RATE / 256)
    assert held_out.label.tolist() == [1, 0]


def test_inner_folds_leave_the_reported_fold_out(esc):
    config = data.resolve_classes(replace(SHORT, source=str(esc), held_out_folds=(4,), train_folds=(2, 3)))
    train, held_out = data.load(config, COARSE, 2)
    assert (len(train.label), len(held_out.label)) == (4, 2)


def test_both_results_are_parts_of_one_array(esc):
    """So the memory of the spectrograms is needed once."""
    train, held_out = data.load(data.resolve_classes(replace(SHORT, source=str(esc))), COARSE, 2)
    assert train.levels.base is held_out.levels.base


def test_spectrograms_that_do_not_fit_in_memory_are_an_error_before_a_sound_is_read(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**20))
    monkeypatch.setattr(data, "_read_waves", lambda *_: pytest.fail("a sound was read"))
    with pytest.raises(UserError, match="spectrograms of 400 sounds need 0.01 GiB of memory, expected at most 50% of"):
        data.load(data.resolve_classes(SHORT), COARSE, 2)


def test_centroid_classes_are_balanced_and_ordered_by_frequency(esc):
    config = data.resolve_classes(replace(SHORT, source=str(esc)))
    train, held_out = data.load(config, COARSE, 4)
    assert np.bincount(train.centroid_class).tolist() == [2, 2, 2, 2]
    assert set(train.centroid_class[train.label == config.classes.index("low")]) == {0, 1}
    assert set(held_out.centroid_class) <= {0, 1, 2, 3}


def test_folder_per_class_is_divided_into_five_folds(tmp_path):
    for name, hz in HZ.items():
        for i in range(5):
            write_tone(tmp_path / name / f"{i}.wav", hz)
    config = data.resolve_classes(replace(SHORT, source=str(tmp_path)))
    train, held_out = data.load(config, COARSE, 0)
    assert sorted(train.label) == [0] * 4 + [1] * 4
    assert sorted(held_out.label) == [0, 1]


def test_synthetic_sounds_are_reproducible(monkeypatch):
    monkeypatch.setattr(data, "_BLOCK", 25)  # half of the sounds, so that both blocks have one shape
    config = data.resolve_classes(replace(SHORT, synthetic_clips=5))
    assert len(config.classes) == 10
    (one, _), (other, held_out) = (data.load(config, COARSE, 0) for _ in range(2))
    np.testing.assert_array_equal(one.levels, other.levels)
    assert len(np.unique(one.levels.reshape(len(one.levels), -1), axis=0)) == 40
    assert sorted(held_out.label) == list(range(10))


def test_errors_name_the_sound_and_the_mending(esc, tmp_path):
    config = replace(SHORT, source=str(esc))
    with pytest.raises(UserError, match=r"'high', which is not among the classes that are trained: low;"):
        data.load(replace(config, classes=("low",)), COARSE, 0)
    with pytest.raises(UserError, match="of which none is left to train on"):
        data.load(replace(config, classes=("high", "low"), held_out_folds=(1, 2, 3, 4, 5)), COARSE, 0)
    (esc / "audio" / "3-1-A-1.wav").unlink()
    with pytest.raises(UserError, match=r"line 7 names 3-1-A-1.wav, which is not in .*audio: get the file"):
        data.resolve_classes(config)
    (esc / "meta" / "esc50.csv").write_text("name,class\na.wav,dog\n")
    with pytest.raises(UserError, match="columns filename, fold and category"):
        data.resolve_classes(config)
    (tmp_path / "flat").mkdir()
    write_tone(tmp_path / "flat" / "a.wav", 300)
    with pytest.raises(UserError, match="a subfolder of sound files per class"):
        data.resolve_classes(replace(SHORT, source=str(tmp_path / "flat")))


@pytest.mark.parametrize("axis", ["linear", "log", "mel"])
def test_row_of_a_tone_has_its_frequency(axis):
    representation = Representation(axis=axis, sample_rate=RATE, n_fft=512, hop_length=128, mel_bands=40)
    wave = jnp.sin(2 * jnp.pi * 1000 * jnp.arange(RATE, dtype=jnp.float32) / RATE)
    levels = np.asarray(jax.jit(representation.encode)(wave))
    assert levels.shape == (len(representation.row_hz), representation.frames(RATE))
    assert levels.max() == pytest.approx(1, abs=1e-6)
    assert representation.row_hz[levels.mean(1).argmax()] == pytest.approx(1000, rel=0.06)
    assert (np.diff(representation.row_hz) < 0).all(), "row 0 is the highest frequency"


def test_centroid_matches_librosa():
    wave = np.random.default_rng(0).normal(size=RATE).astype(np.float32) * np.linspace(0, 1, RATE, dtype=np.float32)
    magnitude = np.abs(librosa.stft(wave, n_fft=256, hop_length=128, center=False))
    centroid = librosa.feature.spectral_centroid(S=magnitude, sr=RATE, n_fft=256)[0]
    weight = np.sqrt((magnitude**2).mean(0))
    actual = jax.jit(COARSE.centroid_hz)(wave)
    np.testing.assert_allclose(actual, (weight * centroid).sum() / weight.sum(), rtol=1e-4)
