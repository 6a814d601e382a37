"""Command synth on sound files and spectrograms, and the functions behind it."""

import signal
import subprocess

import librosa
import numpy as np
import pytest
import soundfile
from PIL import Image

from commands.run import ROOT, command, environment, error_in_process, run, run_in_process
from specjax import synth
from specjax.papers.texture import inference as sounds
from specjax.plots import sound as plots
from specjax.signal import inversion
from specjax.signal.phase import streaming
from specjax.signal.presets import PRESETS

RATE = 22050
T = np.arange(RATE) / RATE
WAVE = 0.3 * np.sin(2 * np.pi * (440 * T + 200 * T**2)) + 0.1 * np.sin(2 * np.pi * 1500 * T) * (T > 0.5)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Sound file of `WAVE`: a chirp, and a tone of 1500 Hz that begins in the middle."""
    path = tmp_path_factory.mktemp("sounds") / "in.flac"
    soundfile.write(path, WAVE, RATE)
    return path


def correlate_spectra(wave):
    """Correlation coefficient between the magnitude spectra of a wave and of `WAVE`, in frames of 0.1 s."""
    a, b = (np.abs(np.fft.rfft(x.reshape(-1, 2205))) for x in (WAVE, wave))
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def find_onset(wave):
    """Sample at which the tone of 1500 Hz begins."""
    level = np.abs(np.convolve(wave * np.exp(-2j * np.pi * 1500 * T), np.ones(441), "same"))
    return np.argmax(level > np.median(level[3 * RATE // 4 :]) / 2)


def test_spectrogram_picture_is_inverted_to_sound(cache, tmp_path, sound):
    png, plot, wav = tmp_path / "a.png", tmp_path / "deep" / "plot.png", tmp_path / "a.wav"
    done = run(cache, "synth", "spectrogram", sound, f"--out={png}", f"--plot={plot}")
    assert done.returncode == 0, done.stderr
    assert "mono, 513 rows, 87 frames" in done.stdout
    assert plot.read_bytes()[:4] == b"\x89PNG"
    done = run(cache, "synth", "invert", png, f"--out={wav}", "--iterations=8")
    assert done.returncode == 0, done.stderr
    assert "pghi ...\nsubset_griffin_lim ...\nsubset_griffin_lim 4/8: -" in done.stderr
    wave, rate = soundfile.read(wav)
    assert (rate, len(wave)) == (RATE, RATE)
    assert np.std(wave) == pytest.approx(np.std(WAVE), rel=0.02), "the level is stored in our pictures"
    assert correlate_spectra(wave) > 0.98
    convergence_db = float(done.stdout.split("convergence ")[1].split(" dB")[0])
    assert convergence_db < -18


def test_picture_without_level_metadata_is_normalized_to_peak(tmp_path, sound):
    assert run_in_process("synth", "spectrogram", sound, f"--out={tmp_path}/a.png").returncode == 0
    with Image.open(tmp_path / "a.png") as picture:
        Image.fromarray((np.asarray(picture) // 257).astype(np.uint8)).save(tmp_path / "gray.png")
    arguments = ("--method=spsi", "--preset=picture", f"--plot={tmp_path}/plot.png", f"--out={tmp_path}/a.wav")
    done = run_in_process("synth", "invert", tmp_path / "gray.png", *arguments)
    assert done.returncode == 0, done.stderr
    assert "22050 Hz" in done.stdout
    assert "level unknown (the file stores no reference level); peak set to 0.9" in done.stdout
    wave, _ = soundfile.read(tmp_path / "a.wav")
    assert np.abs(wave).max() == pytest.approx(0.9, abs=0.01)
    assert (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"


@pytest.fixture(scope="module")
def stereo(tmp_path_factory):
    """Sound file with 440 Hz on the left, and 660 Hz at a quarter of its level on the right."""
    path = tmp_path_factory.mktemp("stereo") / "stereo.wav"
    soundfile.write(
        path, np.stack([0.4 * np.sin(2 * np.pi * 440 * T), 0.1 * np.sin(2 * np.pi * 660 * T)], axis=1), RATE
    )
    return path


def check_sides(path):
    """Check that each side of a copy of the sound `stereo` has its tone and its level."""
    waves, rate = soundfile.read(path, always_2d=True)
    assert (rate, waves.shape) == (RATE, (RATE, 2))
    for wave, hz, level in zip(waves.T, (440, 660), (0.4, 0.1), strict=True):
        inner = wave[RATE // 10 : -RATE // 10]
        spectrum = np.abs(np.fft.rfft(inner * np.hanning(len(inner)), 2**20))
        assert np.argmax(spectrum) * RATE / 2**20 == pytest.approx(hz, abs=1.0)
        assert np.sqrt(2) * np.std(inner) == pytest.approx(level, rel=0.02)


@pytest.mark.parametrize("suffix", ["png", "npz"])
def test_stereo_sound_comes_back_on_its_sides_through_a_spectrogram_file(tmp_path, stereo, suffix):
    saved, plot, wav = tmp_path / f"a.{suffix}", tmp_path / "plot.png", tmp_path / "a.wav"
    done = run_in_process("synth", "spectrogram", stereo, f"--out={saved}", f"--plot={plot}")
    assert done.returncode == 0, done.stderr
    assert "stereo, 513 rows, 87 frames" in done.stdout
    with Image.open(plot) as picture:
        assert picture.height >= picture.width, "one plot per side"
    done = run_in_process("synth", "invert", saved, f"--out={wav}", "--iterations=8")
    assert done.returncode == 0, done.stderr
    assert "1.00 s at 22050 Hz, stereo" in done.stdout
    check_sides(wav)


@pytest.mark.parametrize(
    "arguments",
    [("invert", "--iterations=8"), ("invert", "--preset=mvnet", "--iterations=8", "--mel_steps=10"), ("stream",)],
)
def test_stereo_sound_is_inverted_on_its_sides(tmp_path, stereo, arguments):
    subcommand, *options = arguments
    done = run_in_process("synth", subcommand, stereo, f"--out={tmp_path}/a.wav", *options)
    assert done.returncode == 0, done.stderr
    assert "22050 Hz, stereo" in done.stdout
    check_sides(tmp_path / "a.wav")


@pytest.mark.parametrize("subcommand", ["invert", "stream"])
def test_silent_side_stays_silent(tmp_path, subcommand):
    soundfile.write(tmp_path / "left.wav", np.stack([WAVE, 0 * WAVE], axis=1), RATE)
    options = ("--method=refine", "--iterations=4") if subcommand == "invert" else ()
    done = run_in_process("synth", subcommand, tmp_path / "left.wav", f"--out={tmp_path}/a.wav", *options)
    assert done.returncode == 0, done.stderr
    left, right = soundfile.read(tmp_path / "a.wav")[0].T
    assert correlate_spectra(left) > 0.95
    assert not np.any(right)


def test_six_channels_are_mixed_with_a_warning(tmp_path):
    soundfile.write(tmp_path / "six.wav", np.stack([WAVE] * 6, axis=1), RATE)
    done = run_in_process("synth", "spectrogram", tmp_path / "six.wav", f"--out={tmp_path}/a.npz")
    assert done.returncode == 0, done.stderr
    assert "six.wav has 6 channels, mixed to one" in done.stderr
    assert "mono, 513 rows" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--preset=mvnet", "--iterations=8", "--mel_steps=10"),
        ("--preset=wyse", "--start=spsi,griffin_lim", "--method=refine", "--iterations=4"),
    ],
)
def test_sound_is_inverted_with_a_preset(tmp_path, sound, arguments):
    wav = tmp_path / "a.wav"
    done = run_in_process("synth", "invert", sound, *arguments, f"--out={wav}")
    assert done.returncode == 0, done.stderr
    wave, _ = soundfile.read(wav)
    assert len(wave) == RATE
    assert 0.7 < np.std(wave) / np.std(WAVE) < 1.4, "the level is kept"
    assert correlate_spectra(wave) > 0.8


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("subcommand", ["invert", "stream"])
def test_signal_ends_the_command_and_leaves_no_file(cache, tmp_path, subcommand, number):
    """The sound is long enough that the signal arrives during the work."""
    long = tmp_path / "long.wav"
    soundfile.write(long, np.resize(WAVE, RATE * (3600 if subcommand == "stream" else 590)), RATE)
    out = tmp_path / "out" / "a.wav"
    process = subprocess.Popen(
        command("synth", subcommand, long, f"--out={out}"),
        stderr=subprocess.PIPE,
        text=True,
        env=environment(cache),
        cwd=ROOT,
    )
    assert process.stderr.readline() == "specjax synth: starting\n"
    if subcommand == "stream":
        assert process.stderr.readline() == "10 s done\n"
        assert list(out.parent.iterdir())
    else:
        assert process.stderr.readline() == "pghi ...\n"
    process.send_signal(number)
    assert process.wait(timeout=5) == 128 + number
    process.stderr.close()
    assert not out.parent.exists() or not list(out.parent.iterdir())


@pytest.mark.parametrize(("method", "latency_ms"), [("rtpghi", 58), ("spsi", 46)])
def test_stream_prints_latency_and_keeps_position_of_sound(tmp_path, sound, method, latency_ms):
    wav = tmp_path / "a.wav"
    done = run_in_process("synth", "stream", sound, f"--out={wav}", f"--method={method}")
    assert done.returncode == 0, done.stderr
    assert f"latency {latency_ms} ms" in done.stdout
    wave, rate = soundfile.read(wav)
    assert (rate, len(wave)) == (RATE, RATE), "the sound is complete"
    assert correlate_spectra(wave) > 0.95
    assert abs(find_onset(wave) - find_onset(WAVE)) < 128, "at most half a hop late"


def test_features_are_written_and_plotted(tmp_path, sound):
    npz, plot = tmp_path / "f.npz", tmp_path / "f.png"
    done = run_in_process("synth", "features", sound, f"--out={npz}", f"--plot={plot}")
    assert done.returncode == 0, done.stderr
    with np.load(npz) as features:
        assert all(np.all(np.isfinite(features[name])) for name in features.files if name != "fundamental_hz")
        assert features["mfcc"].shape == features["mfcc_delta"].shape == (20, len(features["time_s"]))
        np.testing.assert_allclose(np.nanmedian(features["fundamental_hz"][2:18]), 500, rtol=0.15)
        assert int(features["sample_rate"]) == RATE
    assert plot.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(("rate", "seconds", "hz"), [(8000, 0.3, 120.0), (44100, 1.0, 41.2), (96000, 0.5, 110.0)])
def test_fundamental_frequency_is_right_at_several_sample_rates(tmp_path, rate, seconds, hz):
    time = np.arange(int(rate * seconds)) / rate
    tone = sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 6))
    soundfile.write(tmp_path / "a.wav", 0.2 * tone, rate)
    features = sounds.extract_features(tmp_path / "a.wav", None)
    inner = slice(2, -2)
    np.testing.assert_allclose(features["fundamental_hz"][inner], hz, rtol=0.02)
    assert features["time_s"][-1] == pytest.approx(seconds, abs=0.05)
    assert len({values.shape[-1] for name, values in features.items() if values.ndim and name != "beat_s"}) == 1


def test_beats_are_cached(tmp_path, sound):
    first = sounds.extract_features(sound, None, tmp_path / "beats")
    (cached,) = (tmp_path / "beats").iterdir()
    second = sounds.extract_features(sound, None, tmp_path / "beats")
    np.testing.assert_array_equal(first["beat_s"], second["beat_s"])
    assert cached.suffix == ".npz"


def test_stored_peak_is_that_of_the_frames_that_are_kept(tmp_path):
    """The preset `wyse` keeps a multiple of four frames. Here the loudest of the other frames are left out."""
    wave = 0.01 * WAVE[:11000]
    wave[10700:10880] = 0.5
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    saved = sounds.read_spectrogram(tmp_path / "a.wav", PRESETS["wyse"])
    assert saved.values.shape == (1, 257, 80)
    levels = np.abs(librosa.stft(wave, n_fft=512, hop_length=128, center=False))
    assert levels.max() > 5 * levels[:, :80].max()
    assert saved.peak == pytest.approx(levels[:, :80].max(), rel=1e-4)


def test_title_may_contain_dollar_signs():
    picture = plots.spectrogram(np.zeros((1, 3, 4)), np.arange(3.0), np.arange(4.0), "A$AP_ROCKY_$.mp3")
    assert picture[:4] == b"\x89PNG"


def test_noise_has_no_fundamental_frequency(tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.2 * np.random.default_rng(0).standard_normal(RATE), RATE)
    assert np.mean(np.isnan(sounds.extract_features(tmp_path / "a.wav", None)["fundamental_hz"])) > 0.9


def test_bad_inputs_and_outputs_are_errors(tmp_path, sound):
    taken, folder = tmp_path / "taken.wav", tmp_path / "folder.wav"
    taken.touch()
    folder.mkdir()
    png = f"--out={tmp_path}/a.png"
    short = tmp_path / "short.wav"
    soundfile.write(short, WAVE[:600], RATE)
    for arguments, message in (
        (("invert",), "the following arguments are required: file"),
        (("invert", sound), "the following arguments are required: --out"),
        (("invert", sound, f"--out={tmp_path}/a.mp3"), "must end in .wav"),
        (("invert", sound, f"--out={taken}"), "exists already"),
        (("invert", sound, f"--out={folder}", "--overwrite"), "is a folder: name a file"),
        (("invert", sound, f"--out={tmp_path}/{'x' * 300}.wav"), "File name too long"),
        (("invert", taken, f"--out={taken}", "--overwrite"), "is the input file"),
        (
            ("invert", sound, f"--out={tmp_path}/a.wav", "--seed=99999999999999999999"),
            "--seed=99999999999999999999 has more than 64 bits",
        ),
        (("invert", sound, f"--out={tmp_path}/a.wav", "--start=refine"), "begin with one of random"),
        (
            ("invert", sound, f"--out={tmp_path}/a.wav", "--sample_rate=8000"),
            "unrecognized argument '--sample_rate=8000'; options of `specjax synth invert`: --help, --out",
        ),
        (("spectrogram", sound, png, f"--plot={tmp_path}/a.png"), "--plot="),
        (
            ("stream", sound, f"--out={tmp_path}/a.wav", "--preset=mvnet"),
            "is a mel spectrogram, which cannot be streamed",
        ),
        (("features", sound, f"--out={tmp_path}/a.npz", "--sample_rate=0"), "requested sample rate is 0 Hz"),
        (("features", short, f"--out={tmp_path}/a.npz"), "lasts 0.027 s: its features need 0.046 s"),
        (("invert", tmp_path / "no.wav", f"--out={tmp_path}/a.wav"), "No such file"),
        (("invert", sound, f"--out={tmp_path}/a.wav", "--preset=none"), "choose one of"),
        (("stream", sound, f"--out={tmp_path}/a.wav", "--method=pghi"), "cannot stream: choose spsi, rtpghi, rtisi_la"),
    ):
        assert message in error_in_process("synth", *arguments), arguments
    assert sorted(tmp_path.iterdir()) == [folder, short, taken]


def subcommand_help(name):
    """Text that `--help` prints for a subcommand of synth."""
    actions = synth.parser()._subparsers._group_actions[0]
    return actions.choices[name].format_help()


def test_help_lists_every_method_and_preset():
    invert_help, stream_help = subcommand_help("invert"), subcommand_help("stream")
    for name in (*inversion.METHODS, *inversion.STARTS, *PRESETS):
        assert name in invert_help
    assert all(name in stream_help for name in (*streaming.METHODS, *PRESETS))
    assert "--digit" not in invert_help
    assert "--digit" in subcommand_help("chord")
