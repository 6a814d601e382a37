"""Tempo and beats: clicks are found where they are, and asked for once."""

import librosa
import numpy as np

from specjax.data import beats

RATE = 22050


def clicks(bpm=120.0, seconds=8.0):
    times = np.arange(0.0, seconds, 60 / bpm)
    return librosa.clicks(times=times, sr=RATE, length=int(seconds * RATE)).astype(np.float32), times


def test_clicks_are_beats():
    wave, times = clicks()
    found = beats.track(wave, RATE)
    assert abs(found.tempo_bpm / 120 - 1) < 0.03
    assert len(found.beat_s) >= len(times) - 3
    assert all(np.abs(times - beat).min() < 0.05 for beat in found.beat_s)


def test_silence_has_none():
    found = beats.track(np.zeros(RATE, np.float32), RATE)
    assert (found.tempo_bpm, len(found.beat_s)) == (0.0, 0)


def test_what_was_found_is_kept_and_damage_found_anew(tmp_path, monkeypatch):
    wave, _ = clicks(seconds=4.0)
    first = beats.track(wave, RATE, tmp_path / "kept")
    asked = []
    monkeypatch.setattr(librosa.beat, "beat_track", lambda **_: asked.append(1) or (60.0, [1.0]))
    again = beats.track(wave, RATE, tmp_path / "kept")
    np.testing.assert_array_equal(again.beat_s, first.beat_s)
    assert (again.tempo_bpm, asked) == (np.float32(first.tempo_bpm), [])
    assert beats.track(wave, RATE + 1, tmp_path / "kept").tempo_bpm == 60.0, "another rate is another sound"
    for path in (tmp_path / "kept").iterdir():
        path.write_bytes(path.read_bytes()[:40])
    assert beats.track(wave, RATE, tmp_path / "kept").tempo_bpm == 60.0
    assert len(asked) == 2


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path, caplog):
    (tmp_path / "file").touch()
    found = beats.track(clicks(seconds=2.0)[0], RATE, tmp_path / "file")
    assert found.tempo_bpm > 0
    assert "beats are not kept" in caplog.text
