"""Tables of sounds: every inversion method beside librosa's, every representation against librosa's."""

import numpy as np
import pytest
import soundfile

from specjax.cli.errors import UserError
from specjax.papers.texture.studies import inversion, parity
from specjax.papers.texture.studies import mel as from_mel
from specjax.papers.texture.studies.inversion import Reached
from specjax.signal.inversion import Inversion
from specjax.signal.stft import Stft


@pytest.fixture
def sounds(tmp_path):
    time = np.arange(8000) / 22050
    for name, hz in (("a.wav", 440), ("b.flac", 660)):
        soundfile.write(tmp_path / name, 0.3 * np.sin(2 * np.pi * (hz * time + 300 * time**2)), 22050)
    return tmp_path


def test_every_method_is_tried_on_every_sound(sounds, monkeypatch):
    methods = {"SPSI": Inversion("spsi"), "fast": Inversion(iterations=16), inversion.LIBROSA: None}
    monkeypatch.setattr(inversion, "METHODS", methods)
    monkeypatch.setattr(inversion, "TRANSFORMS", {"Hann, redundancy 4": Stft(512, 128)})
    monkeypatch.setattr(inversion, "DURATION_S", 0.5)
    heard = inversion.clips(inversion.check([str(sounds), str(sounds / "a.wav")]))
    assert [len(wave) for wave in heard.values()] == [11025, 11025], "a file that is named twice counts once"
    told = []
    results = inversion.compare(heard, told.append)
    assert told == [f"Hann, redundancy 4: {name}" for name in methods]
    mean = {
        name: np.mean([r.convergence_db for r in reached]) for name, reached in results["Hann, redundancy 4"].items()
    }
    assert mean["fast"] < mean[inversion.LIBROSA] - 5
    text = inversion.table(results)
    assert f"| fast | {mean['fast']:.1f} ± " in text


def test_a_sound_begins_where_it_sounds_and_a_bad_one_is_left_out(tmp_path, caplog):
    tone = 0.3 * np.sin(np.arange(22050) / 9)
    soundfile.write(tmp_path / "late.wav", np.concatenate([np.zeros(22050 * 6), tone]), 22050)
    soundfile.write(tmp_path / "silent.wav", np.zeros(22050), 22050)
    (wave,) = inversion.clips([tmp_path]).values()
    np.testing.assert_allclose(wave[:22000], tone[1:22001], atol=1e-4)
    assert "left out: " in caplog.text
    assert "silent.wav" in caplog.text
    with pytest.raises(UserError, match="none of 1 sound files can be used"):
        inversion.clips([tmp_path / "silent.wav"])


def test_a_cell_is_mean_spread_and_share_of_real_time(monkeypatch):
    monkeypatch.setattr(inversion, "METHODS", {"x": Inversion("spsi")})
    text = inversion.table({"Hann": {"x": [Reached(-10.0, 0.1), Reached(-12.0, 0.3), Reached(-11.0, 0.2)]}})
    assert text.splitlines() == ["| | Hann |", "|---|--:|", "| x | -11.0 ± 2.5 (0.200) |"]
    assert "| x | -10.0 (0.100) |" in inversion.table({"Hann": {"x": [Reached(-10.0, 0.1)]}})


def test_sounds_of_mel_spectrograms_are_held_to_the_sounds(sounds, monkeypatch):
    methods = {name: from_mel.METHODS[name] for name in list(from_mel.METHODS)[:3]}
    monkeypatch.setattr(from_mel, "METHODS", methods)
    monkeypatch.setattr(from_mel, "CONVENTIONS", ("mvnet",))
    monkeypatch.setattr(inversion, "DURATION_S", 0.5)
    results = from_mel.compare(inversion.clips([sounds / "a.wav"]), lambda line: None)
    (floor,), (sound,), (refined,) = results["mvnet"].values()
    assert floor.mel_db < -40, "the energies in the filters are all there"
    assert refined.mel_db < sound.mel_db - 5
    assert floor.linear_db < 0
    text = from_mel.table(results).splitlines()
    assert text[0] == "| | mvnet, linear | mvnet, mel |"
    assert text[2] == f"| {from_mel.FLOOR} | {floor.linear_db:.1f} | {floor.mel_db:.1f} |"


@pytest.mark.parametrize(("places", "says"), [([], "--sounds is missing"), (["/nowhere"], "does not exist")])
def test_sounds_must_be_named(places, says):
    with pytest.raises(UserError, match=says):
        inversion.check(places)


def test_every_representation_is_librosas():
    time = np.arange(22050) / 22050
    wave = 0.3 * np.sin(2 * np.pi * (440 * time + 300 * time**2)) + 0.01 * np.random.default_rng(0).standard_normal(
        22050
    )
    found = parity.errors({"tone": wave.astype(np.float32)})
    assert max(max(errors) for name, errors in found.items()) < 1e-2, found
    assert max(max(found[name]) for name in ("STFT", "inverse STFT", "MFCC", "centroid", "RMS")) < 1e-5
    rows = parity.table(found).splitlines()
    assert len(rows) == 2 + len(found)
    assert rows[2].startswith("| STFT | ")
