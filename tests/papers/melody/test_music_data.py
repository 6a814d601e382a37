"""Clips of music: mel power, clips per track, held-out tracks, damaged files and the common tempo."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import librosa
import numpy as np
import pytest
import soundfile

from specjax.cli.errors import UserError
from specjax.papers.melody import data
from specjax.papers.melody.mel_clips import cut_clips, find_speed
from specjax.papers.melody.representation import CLIP_SAMPLES, FRAMES, MELS, SAMPLE_RATE
from specjax.papers.melody.tracks import MusicConfig, resolve_genres
from specjax.papers.melody.wave_clips import FULL_SCALE, decode_samples

HZ = {"high": 3000.0, "low": 300.0}


def make_tone(hz, duration_s, seed=0):
    """A tone that becomes louder, with noise."""
    time_s = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    noise = np.random.default_rng(seed).normal(size=len(time_s))
    return np.float32(0.02 * (1 + time_s) * np.sin(2 * np.pi * hz * time_s) + 0.001 * noise)


def write(path, wave, rate=SAMPLE_RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate)


def reference_mel(wave):
    return librosa.feature.melspectrogram(
        y=wave, sr=SAMPLE_RATE, n_fft=2048, hop_length=512, htk=True, norm=None, pad_mode="reflect"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two genres with three tracks each: of 10, 12 and 20 s."""
    folder = tmp_path_factory.mktemp("music")
    for genre, hz in HZ.items():
        for i, duration_s in enumerate((20, 12, 10)):
            write(folder / genre / f"{genre}.0000{i}.wav", make_tone(hz, duration_s, i))
    return folder


@pytest.fixture
def config(folder):
    return MusicConfig(source=str(folder))


def test_clips_are_librosas_mel_spectrograms_of_each_piece(config):
    train, held_out = data.load(config)
    assert train.mel.shape == (2, 3, MELS, FRAMES) == (2, 3, 128, 431)
    assert held_out.mel.shape == (2, 1, MELS, FRAMES)
    wave = make_tone(HZ["low"], 20.0)
    for i in range(2):
        expected = reference_mel(wave[i * CLIP_SAMPLES : (i + 1) * CLIP_SAMPLES])
        np.testing.assert_allclose(train.mel[1, i], expected, rtol=1e-3, atol=1e-6 * expected.max())
    assert train.mel[1].sum(axis=(0, 2)).argmax() < train.mel[0].sum(axis=(0, 2)).argmax(), "row 0 is the lowest band"


def test_waves_are_the_samples_of_the_same_clips(config):
    config = replace(config, hop_s=2.5)
    mel, waves = data.load(config), data.load_waves(config)
    for spectrograms, sounds in zip(mel, waves, strict=True):
        np.testing.assert_array_equal(sounds.track, spectrograms.track)
        np.testing.assert_array_equal(sounds.clips, spectrograms.clips)
    assert waves[0].wave.shape == (2, 6, CLIP_SAMPLES)
    start = round(2.5 * SAMPLE_RATE)
    expected = make_tone(HZ["high"], 20.0)[start : start + CLIP_SAMPLES]
    np.testing.assert_allclose(decode_samples(waves[0].wave[0, 1]), expected, atol=2 / FULL_SCALE)
    expected, actual = (data.measure_statistics(part[0]) for part in (mel, waves))
    assert actual.peak_power == pytest.approx(expected.peak_power, rel=1e-3)
    np.testing.assert_allclose(actual.mean_db, expected.mean_db, atol=0.1)


def test_waves_beyond_full_scale_are_clipped_and_silent_clips_left_out(tmp_path):
    tone = np.concatenate([2 * np.sin(np.arange(CLIP_SAMPLES) / 20), np.zeros(CLIP_SAMPLES)])
    soundfile.write(tmp_path / "a.wav", tone, SAMPLE_RATE, subtype="FLOAT")
    train, _ = data.load_waves(MusicConfig(source=str(tmp_path), held_out_share=0.0))
    assert train.wave.shape == (1, 1, CLIP_SAMPLES)
    assert (train.wave.min(), train.wave.max()) == (-FULL_SCALE, FULL_SCALE)
    assert not train.wave.flags.writeable


def test_no_track_is_on_both_sides(config):
    train, held_out = data.load(config)
    assert train.track.tolist() == [[0, 0, 1], [3, 3, 4]]
    assert held_out.track.tolist() == [[2], [5]]


def test_smaller_hops_give_overlapping_clips(config):
    train, held_out = data.load(replace(config, hop_s=2.5))
    assert train.clips.tolist() == [6, 6], "five starts from 0 to 10 s, and one in the track of 12 s"
    np.testing.assert_array_equal(held_out.clips, data.load(config)[1].clips, "held-out clips do not overlap")
    start = round(2.5 * SAMPLE_RATE)
    expected = reference_mel(make_tone(HZ["high"], 20.0)[start : start + CLIP_SAMPLES])
    np.testing.assert_allclose(train.mel[0, 1], expected, rtol=1e-3, atol=1e-6 * expected.max())


def test_chosen_genres_keep_their_order(config):
    both, _ = data.load(config)
    swapped, _ = data.load(replace(config, genres=("low", "high")))
    np.testing.assert_allclose(swapped.mel, both.mel[::-1], rtol=1e-3)
    one, _ = data.load(replace(config, genres=("low",)))
    np.testing.assert_allclose(one.mel[0], both.mel[1], rtol=1e-3)


def test_lists_choose_the_tracks(config, tmp_path):
    (tmp_path / "train.txt").write_text("high.00002.wav\nlow/low.00001.wav\n")
    (tmp_path / "test.txt").write_text("high.00001.wav\nlow/low.00000.wav\n")
    config = replace(config, train_list=str(tmp_path / "train.txt"), held_out_list=str(tmp_path / "test.txt"))
    train, held_out = data.load(config)
    assert train.track.tolist() == [[2], [4]]
    assert held_out.track.tolist() == [[1, 1], [3, 3]]
    assert held_out.clips.tolist() == [1, 2]


def test_result_is_kept_and_read_only(config):
    assert data.load(config) is data.load(replace(config))
    with pytest.raises(ValueError, match="read-only"):
        data.load(config)[0].mel[0] = 0


class TestUnusableTracks:
    def test_are_skipped_with_the_reason(self, tmp_path, caplog):
        tone = make_tone(500.0, 10.0)
        for name in ("a", "b", "c"):
            write(tmp_path / "rock" / f"{name}.wav", tone)
        (tmp_path / "rock" / "damaged.wav").write_bytes(b"RIFF and no more")
        write(tmp_path / "rock" / "silent.wav", np.zeros(CLIP_SAMPLES, np.float32))
        write(tmp_path / "rock" / "short.wav", tone[: CLIP_SAMPLES // 2])
        train, held_out = data.load(MusicConfig(source=str(tmp_path)))
        assert train.track.tolist() == [[0, 1]]
        assert held_out.track.tolist() == [[2]]
        messages = [record.message for record in caplog.records]
        assert "damaged.wav" in messages[0]
        assert "short.wav lasts 5.0 s, expected at least 10.0: use longer tracks" in messages[1]
        assert "silent.wav is silent throughout" in messages[2]
        with pytest.raises(
            UserError, match="1 of 6 tracks cannot be used, more than data.max_bad_share=0.1; the first"
        ):
            data.load(MusicConfig(source=str(tmp_path), max_bad_share=0.1))

    def test_genre_without_any_track_raises(self, tmp_path):
        for name in ("a", "b"):
            write(tmp_path / "rock" / f"{name}.wav", make_tone(500.0, 10.0))
        write(tmp_path / "jazz" / "c.wav", make_tone(500.0, 1.0))
        with pytest.raises(
            UserError, match=r"none of 1 tracks of the genre 'jazz' can be used; the first: .*c.wav lasts"
        ):
            data.load(MusicConfig(source=str(tmp_path)))

    def test_list_whose_tracks_of_a_genre_are_all_unusable_raises(self, tmp_path):
        for name in ("a", "b"):
            write(tmp_path / "music" / "rock" / f"{name}.wav", make_tone(500.0, 10.0))
        write(tmp_path / "music" / "rock" / "c.wav", make_tone(500.0, 1.0))
        (tmp_path / "list.txt").write_text("c.wav")
        config = MusicConfig(source=str(tmp_path / "music"), train_list=str(tmp_path / "list.txt"))
        with pytest.raises(UserError, match="no usable track of the genre 'rock' is left to train on"):
            data.load(config)

    def test_nothing_is_held_out_at_share_zero(self, config):
        train, held_out = data.load(replace(config, held_out_share=0.0))
        assert (train.clips.tolist(), held_out.mel.shape[:2]) == ([4, 4], (2, 0))

    def test_silent_parts_are_left_out(self, tmp_path):
        wave = make_tone(500.0, 20.0)
        wave[:CLIP_SAMPLES] = 0
        for name in ("a", "b"):
            write(tmp_path / "rock" / f"{name}.wav", wave)
        train, _ = data.load(MusicConfig(source=str(tmp_path)))
        assert train.clips.tolist() == [1]
        assert train.mel.min() > 0


def test_broken_link_is_skipped(tmp_path, caplog):
    for name in ("a", "b"):
        write(tmp_path / "rock" / f"{name}.wav", make_tone(500.0, 10.0))
    (tmp_path / "rock" / "c.wav").symlink_to(tmp_path / "nowhere.wav")
    train, held_out = data.load(MusicConfig(source=str(tmp_path)))
    assert (train.track.tolist(), held_out.track.tolist()) == ([[0]], [[1]])
    assert "c.wav: No such file" in caplog.text


def test_other_sample_rates_are_resampled(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "rock" / f"{name}.wav", make_tone(1000.0, 10.0)[: 10 * 16000], 16000)
    train, _ = data.load(MusicConfig(source=str(tmp_path)))
    peak_hz = librosa.mel_frequencies(MELS + 2, fmax=SAMPLE_RATE / 2, htk=True)[
        1 + train.mel[0, 0].sum(axis=1).argmax()
    ]
    assert peak_hz == pytest.approx(1000 * 16000 / SAMPLE_RATE, rel=0.03)


def test_track_that_is_a_little_short_has_its_last_clip():
    wave = make_tone(500.0, 29.94)
    clips = list(cut_clips(wave, 10.0))
    assert len(clips) == 3
    np.testing.assert_array_equal(
        clips[2][2:-2], librosa.util.frame(wave[-CLIP_SAMPLES:], frame_length=2048, hop_length=512).T
    )
    assert len(list(cut_clips(wave[: 29 * SAMPLE_RATE], 10.0))) == 2
    assert list(cut_clips(wave[: CLIP_SAMPLES - 1], 10.0)) == []


def test_synthetic_tracks_are_reproducible_and_different():
    config = MusicConfig(synthetic_tracks=2, genres=resolve_genres(MusicConfig()).genres[:2])
    train, held_out = data.load(config)
    assert train.mel.shape == held_out.mel.shape == (2, 3, MELS, FRAMES)
    data.load(replace(config, hop_s=20.0))
    again, _ = data.load(config)
    assert again is not train
    np.testing.assert_allclose(again.mel, train.mel, rtol=1e-3)
    clips = np.concatenate([train.mel, held_out.mel]).reshape(12, -1)
    assert len(np.unique(clips, axis=0)) == 12


@pytest.fixture(scope="module")
def clicks():
    """Short tones of 1 kHz at 100 BPM, for 16 s."""
    times_s = np.arange(0.0, 16.0, 0.6)
    return librosa.clicks(times=times_s, sr=SAMPLE_RATE, length=16 * SAMPLE_RATE).astype(np.float32)


def test_tensorflow_data_set_is_read_and_divided_by_file_names(tmp_path, monkeypatch):
    tones = [np.round(32767 * make_tone(hz, 10.0)).astype(np.int64) for hz in (300.0, 3000.0)]
    examples = [
        {"audio": tones[i % 2], "label": i % 2, "audio/filename": f"x/{'ab'[i % 2]}.{i}.wav".encode()} for i in range(4)
    ]
    features = {"audio": SimpleNamespace(sample_rate=SAMPLE_RATE), "label": SimpleNamespace(names=["a", "b"])}
    builder = SimpleNamespace(as_data_source=lambda split: examples, info=SimpleNamespace(features=features))
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", SimpleNamespace(builder=lambda name: builder))
    (tmp_path / "list.txt").write_text("a.0.wav\nb.3.wav\n")
    train, held_out = data.load(MusicConfig(source="tfds:gtzan", held_out_list=str(tmp_path / "list.txt")))
    assert (train.track.tolist(), held_out.track.tolist()) == ([[1], [2]], [[0], [3]])
    np.testing.assert_allclose(train.mel[0, 0], reference_mel(make_tone(300.0, 10.0)), rtol=0.1, atol=1e-3)


class TestTempo:
    def test_tracks_are_stretched_to_the_common_tempo_at_their_pitch(self, clicks, tmp_path, monkeypatch):
        monkeypatch.setenv("SPECJAX_CACHE", str(tmp_path / "cache"))
        for name in ("a", "b"):
            write(tmp_path / "music" / "rock" / f"{name}.wav", clicks)
        config = MusicConfig(source=str(tmp_path / "music"))
        recorded, stretched = (data.load(replace(config, tempo_bpm=bpm))[0].mel[0, 0] for bpm in (0.0, 120.0))
        assert len(list((tmp_path / "cache" / "beats").iterdir())) == 1, "equal sounds share an entry"
        assert measure_tempo_bpm(recorded) == pytest.approx(100, rel=0.005)
        assert measure_tempo_bpm(stretched) == pytest.approx(120, rel=0.005)
        assert recorded.sum(axis=1).argmax() == stretched.sum(axis=1).argmax()

    def test_stretching_agrees_with_librosas_phase_vocoder(self):
        wave = np.sum([make_tone(hz, 12.5, 1) for hz in (220, 660, 2500)], axis=0)
        wave *= np.float32(1.2) + np.sin(np.arange(len(wave)) / 4000).astype(np.float32)
        (frames,) = cut_clips(wave, 10.0, 1.25)
        mel = reference_power_of_frames(frames)
        expected = reference_mel(librosa.effects.time_stretch(wave, rate=1.25)[:CLIP_SAMPLES])
        audible = expected > 1e-3 * expected.max()
        error_db = 10 * np.log10(mel[audible] / expected[audible])
        assert np.median(np.abs(error_db)) < 1

    @pytest.mark.parametrize(("target_bpm", "speed"), [(100, 1.0), (80, 0.8), (125, 1.25), (60, 1.2), (210, 1.05)])
    def test_speed_allows_for_half_and_double_tempo(self, clicks, target_bpm, speed):
        assert find_speed(clicks, float(target_bpm)) == pytest.approx(speed, rel=0.01)

    def test_track_without_beats_keeps_its_tempo(self):
        assert find_speed(np.zeros(SAMPLE_RATE, np.float32), 120.0) == 1.0


def measure_tempo_bpm(mel):
    """Tempo from the spectrum of the energy of the frames."""
    energy = mel.sum(axis=0)
    spectrum = np.abs(np.fft.rfft((energy - energy.mean()) * np.hanning(len(energy)), 2**16))
    per_minute = np.fft.rfftfreq(2**16, 512 / SAMPLE_RATE) * 60
    lowest = spectrum * ((per_minute > 70) & (per_minute < 150))
    return per_minute[lowest.argmax()]


def reference_power_of_frames(frames):
    power = np.abs(np.fft.rfft(frames * librosa.filters.get_window("hann", 2048), axis=1)) ** 2
    return librosa.filters.mel(sr=SAMPLE_RATE, n_fft=2048, htk=True, norm=None) @ power.T
