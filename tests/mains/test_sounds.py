"""Sound files in, sound files out: the commands as a user types them."""

import numpy as np
import pytest
import soundfile

from mains.commands import refusal, run

RATE = 22050
T = np.arange(RATE) / RATE
WAVE = 0.3 * np.sin(2 * np.pi * (440 * T + 200 * T**2)) + 0.1 * np.sin(2 * np.pi * 1500 * T) * (T > 0.5)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sounds") / "in.flac"
    soundfile.write(path, WAVE, RATE)
    return path


def near(wave):
    """How like the spectrum of `WAVE` that of a wave is, whatever their phases."""
    a, b = (np.abs(np.fft.rfft(x.reshape(-1, 2205))) for x in (WAVE, wave))
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def test_a_picture_of_sound_becomes_sound_again(cache, tmp_path, sound):
    png, plot, wav = tmp_path / "a.png", tmp_path / "deep" / "plot.png", tmp_path / "a.wav"
    done = run(cache, "synth", "spectrogram", sound, f"--out={png}", f"--plot={plot}")
    assert done.returncode == 0, done.stderr
    assert "513 rows, 87 frames" in done.stdout
    assert plot.read_bytes()[:4] == b"\x89PNG"
    done = run(cache, "synth", "invert", png, f"--out={wav}", "--iterations=8")
    assert done.returncode == 0, done.stderr
    assert "iteration 8: -" in done.stderr
    wave, rate = soundfile.read(wav)
    assert (rate, len(wave)) == (RATE, RATE)
    assert np.abs(wave).max() == pytest.approx(0.9, abs=0.01), "a picture does not tell how loud it was"
    assert near(wave) > 0.98
    told = float(done.stdout.split("convergence ")[1].split(" dB")[0])
    assert told < -18


def test_a_sound_is_inverted_by_a_preset(cache, tmp_path, sound):
    wav = tmp_path / "a.wav"
    arguments = ("--preset=mvnet", "--iterations=8", "--mel_steps=10", f"--out={wav}")
    done = run(cache, "synth", "invert", sound, *arguments)
    assert done.returncode == 0, done.stderr
    wave, _ = soundfile.read(wav)
    assert 0.7 < np.std(wave) / np.std(WAVE) < 1.4, "mel power tells how loud it was"
    assert near(wave) > 0.8


@pytest.mark.parametrize(("method", "late"), [("rtpghi", 58), ("spsi", 46)])
def test_a_stream_says_how_late_and_how_fast(cache, tmp_path, sound, method, late):
    wav = tmp_path / "a.wav"
    done = run(cache, "synth", "stream", sound, f"--out={wav}", f"--method={method}")
    assert done.returncode == 0, done.stderr
    assert f"{late} ms late" in done.stdout
    wave, rate = soundfile.read(wav)
    assert (rate, len(wave)) == (RATE, RATE), "all of the sound comes out, and where it was"
    assert near(wave) > 0.95


def test_features_are_named_and_drawn(cache, tmp_path, sound):
    npz, plot = tmp_path / "f.npz", tmp_path / "f.png"
    done = run(cache, "synth", "features", sound, f"--out={npz}", f"--plot={plot}")
    assert done.returncode == 0, done.stderr
    with np.load(npz) as found:
        assert all(np.all(np.isfinite(found[name])) for name in found.files)
        assert found["mfcc"].shape == found["mfcc_delta"].shape == (20, len(found["time_s"]))
        np.testing.assert_allclose(np.median(found["fundamental_hz"][2:18]), 500, rtol=0.15)
        assert int(found["sample_rate"]) == RATE
    assert plot.read_bytes()[:4] == b"\x89PNG"


def test_what_cannot_be_done_is_said_in_one_line(cache, tmp_path, sound):
    taken = tmp_path / "taken.wav"
    taken.touch()
    for words, says in (
        (("invert",), "invert of what"),
        (("invert", sound), "--out is missing"),
        (("invert", sound, f"--out={tmp_path}/a.mp3"), "must end in .wav"),
        (("invert", sound, f"--out={taken}"), "exists already"),
        (("invert", tmp_path / "no.wav", f"--out={tmp_path}/a.wav"), "No such file"),
        (("invert", sound, f"--out={tmp_path}/a.wav", "--preset=none"), "choose one of"),
        (("stream", sound, f"--out={tmp_path}/a.wav", "--method=pghi"), "streams know spsi, rtpghi, rtisi_la"),
    ):
        assert says in refusal(run(cache, "synth", *words))
    assert list(tmp_path.iterdir()) == [taken]
