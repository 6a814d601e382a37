"""Beat tracking: clicks are detected as beats, and results are cached."""

import librosa
import numpy as np
import pytest

from specjax.data import beats

RATE = 22050


def make_clicks(bpm=120.0, seconds=8.0):
    times = np.arange(0.0, seconds, 60 / bpm)
    return librosa.clicks(times=times, sr=RATE, length=int(seconds * RATE)).astype(np.float32), times


def test_clicks_are_detected_as_beats():
    wave, times = make_clicks()
    result = beats.track(wave, RATE)
    assert abs(result.tempo_bpm / 120 - 1) < 0.03
    assert len(result.beat_s) >= len(times) - 3
    assert all(np.abs(times - beat).min() < 0.05 for beat in result.beat_s)


def test_silence_has_no_beats():
    result = beats.track(np.zeros(RATE, np.float32), RATE)
    assert (result.tempo_bpm, len(result.beat_s)) == (0.0, 0)


@pytest.mark.parametrize("bpm", [101.3, 120.0])
def test_steady_tempo_lies_between_the_tempos_of_whole_frames(bpm):
    frame_s = 512 / RATE
    beat_s = np.round(np.arange(40) * 60 / bpm / frame_s) * frame_s
    exact = beats.steady_tempo_bpm(beats.Beats(0.0, beat_s.astype(np.float32)))
    assert abs(exact / bpm - 1) < 0.003
    missing_one = beats.steady_tempo_bpm(beats.Beats(0.0, np.delete(beat_s, 30).astype(np.float32)))
    assert abs(missing_one / bpm - 1) < 0.06


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_beats_have_no_steady_tempo(count):
    assert beats.steady_tempo_bpm(beats.Beats(0.0, np.zeros(count, np.float32))) == 0


def test_results_are_cached_and_damaged_entries_computed_again(tmp_path, monkeypatch):
    wave, _ = make_clicks(seconds=4.0)
    first = beats.track(wave, RATE, tmp_path / "cache")
    calls = []
    monkeypatch.setattr(librosa.beat, "beat_track", lambda **_: calls.append(1) or (60.0, [1.0]))
    again = beats.track(wave, RATE, tmp_path / "cache")
    np.testing.assert_array_equal(again.beat_s, first.beat_s)
    assert (again.tempo_bpm, calls) == (np.float32(first.tempo_bpm), [])
    assert beats.track(wave, RATE + 1, tmp_path / "cache").tempo_bpm == 60.0, (
        "another sample rate is another cache entry"
    )
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:40])
    assert beats.track(wave, RATE, tmp_path / "cache").tempo_bpm == 60.0
    assert len(calls) == 2


def test_unwritable_cache_only_logs_a_warning(tmp_path, caplog):
    (tmp_path / "file").touch()
    result = beats.track(make_clicks(seconds=2.0)[0], RATE, tmp_path / "file")
    assert result.tempo_bpm > 0
    assert "beats are not cached" in caplog.text
