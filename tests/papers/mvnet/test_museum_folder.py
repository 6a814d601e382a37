"""Museums that are read from folders of sounds and pictures."""

from dataclasses import replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import psutil
import pytest
import soundfile
from PIL import Image

from specjax.cli.errors import UserError
from specjax.papers.mvnet.data import choose_pictures, cut_clips, load, load_paintings
from specjax.papers.mvnet.dataset import MuseumConfig
from specjax.papers.mvnet.representation import CLIP_SAMPLES, Representation, clip_mel

RNG = np.random.default_rng(0)


def noise(clips):
    return (0.1 * RNG.normal(size=round(clips * CLIP_SAMPLES))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two eras. A piece of `modern` has two and a half clips, a file is too short, and a picture is corrupt."""
    folder = tmp_path_factory.mktemp("museum")
    for era in ("baroque", "modern"):
        for kind in ("audio", "images"):
            (folder / kind / era).mkdir(parents=True)
        for name, clips in (("a.0", 2.5 if era == "modern" else 1), ("b.0", 1), ("c.0", 1)):
            soundfile.write(folder / "audio" / era / f"{name}.wav", noise(clips), 22050, subtype="FLOAT")
        for name, mode in (("a.png", "L"), ("b.jpg", "CMYK"), ("c.png", "RGB")):
            pixels = RNG.integers(0, 256, (90, 70, 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(folder / "images" / era / name)
    soundfile.write(folder / "audio" / "modern" / "a_short.0.wav", noise(0.9), 22050)
    (folder / "images" / "modern" / "a_corrupt.png").write_bytes(b"not a picture")
    return folder


@pytest.fixture(scope="module")
def config(folder):
    return MuseumConfig(source=str(folder), representation=Representation("power"), pairing="paper", max_bad_share=0.3)


def test_files_become_clips_and_bad_ones_are_skipped(config, folder, caplog):
    train, held_out = load(config)
    # The last names are held out. The long piece has two clips.
    assert train.clip_era.tolist() == [0, 0, 1, 1, 1]
    assert held_out.clip_era.tolist() == [0, 1]
    assert train.composition.tolist() == [0, 1, 3, 3, 5]
    assert train.picture_era.tolist() == [0, 0, 1, 1]
    assert held_out.picture_era.tolist() == [0, 1]
    assert "a_short.0.wav lasts 8.02 s, expected at least 8.91 s" in caplog.text
    assert "a_corrupt.png is not a readable image" in caplog.text
    wave, _ = soundfile.read(folder / "audio" / "modern" / "a.0.wav", dtype="float32")
    for clip in (0, 1):
        expected = clip_mel(jnp.asarray(wave[clip * CLIP_SAMPLES : (clip + 1) * CLIP_SAMPLES])[None])[0]
        np.testing.assert_allclose(train.mel[2 + clip], expected, rtol=1e-4, atol=1e-6)
    assert train.pairs.tolist()[:6] == [[0, 0], [0, 0], [0, 0], [1, 1], [1, 1], [1, 1]]


def test_pictures_are_loaded_without_the_music(config):
    for paintings, museum in zip(load_paintings(config), load(config), strict=True):
        np.testing.assert_array_equal(paintings.pixels, museum.pictures)
        np.testing.assert_array_equal(paintings.era, museum.picture_era)


def test_some_training_pictures_of_each_era_are_loaded_in_any_size(config, folder):
    chosen = choose_pictures(config, 3, 32)
    assert chosen.shape == (2, 3, 32, 32, 3)
    pixels = np.asarray(Image.open(folder / "images" / "baroque" / "a.png").convert("RGB"), float)
    middle = pixels[10:80].reshape(70, 70, 3)
    np.testing.assert_allclose(chosen[0, 0].mean(axis=(0, 1)), middle.mean(axis=(0, 1)), atol=0.5)
    np.testing.assert_array_equal(chosen[0, 2], chosen[0, 0])  # there are two


def test_loading_again_reads_no_file_unless_one_changed(config, folder):
    first, again = load(config), load(config)
    assert again[0].mel is first[0].mel
    path = folder / "audio" / "baroque" / "c.0.wav"
    soundfile.write(path, noise(1), 22050, subtype="FLOAT")
    changed = load(config)
    np.testing.assert_array_equal(changed[0].mel, first[0].mel)
    assert not np.array_equal(changed[1].mel, first[1].mel)


def test_too_many_bad_files_and_held_out_works_that_are_all_bad_raise(config, folder):
    with pytest.raises(UserError, match=r"1 of 7 sound files cannot be used, .*0.1; the first: .*a_short.0.wav lasts"):
        load(replace(config, max_bad_share=0.1))
    listed = folder / "held_out"
    listed.write_text("baroque/c.0\nmodern/a_short.0.wav\n")
    with pytest.raises(UserError, match="no usable sound files of the era 'modern' are left to hold out"):
        load(replace(config, held_out_list=str(listed)))


def test_clips_are_cut_one_after_the_other():
    wave = np.arange(2 * CLIP_SAMPLES + 5, dtype=np.float32)
    np.testing.assert_array_equal(cut_clips(wave, "x.wav").ravel(), wave[:-5])
    assert cut_clips(wave[:CLIP_SAMPLES], "x.wav").shape == (1, CLIP_SAMPLES)
    with pytest.raises(UserError, match=r"x.wav lasts 8.91 s, expected at least 8.91 s \(196465 samples at 22050 Hz\)"):
        cut_clips(wave[: CLIP_SAMPLES - 1], "x.wav")


def test_clips_beyond_the_memory_raise(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**20))
    with pytest.raises(UserError, match=r"1800 clips need 1.32 GiB of memory.*use a smaller data.synth"):
        load(MuseumConfig())
