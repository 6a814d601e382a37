"""Commands `synth style` and `synth panels`, as a user would run them."""

import signal
import subprocess
import time
from dataclasses import asdict

import jax
import librosa
import numpy as np
import pytest
import soundfile
from PIL import Image

from commands.run import ROOT, command, environment, error_in_process, run_in_process
from specjax.engine import bundle
from specjax.engine.task import Part
from specjax.papers.texture.classify import ClassifierInference
from specjax.papers.texture.config import ClassifierConfig
from specjax.papers.texture.data import SoundsConfig
from specjax.papers.texture.model import ModelConfig
from specjax.papers.texture.sounds import CLASSES

RATE = 22050
WYSE = ("--method=wyse", "--filters=8", "--iterations=2")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A content (stereo, half a second, 16 kHz) and a style (mono, 0.7 s)."""
    folder = tmp_path_factory.mktemp("pair")
    rng = np.random.default_rng(0)
    time_s = np.arange(8000) / 16000
    left = 0.2 * np.sin(2 * np.pi * 500 * time_s) * (time_s % 0.1 < 0.05)
    soundfile.write(folder / "content.wav", np.stack([left, 0.1 * rng.normal(size=8000)], 1), 16000)
    soundfile.write(folder / "style.wav", 0.05 * rng.normal(size=15000).cumsum() % 0.5, RATE)
    return folder


def style(folder, *arguments, content="content.wav"):
    return "style", f"--content={folder / content}", f"--style={folder / 'style.wav'}", *arguments


def test_result_has_the_duration_channels_and_loudness_of_the_content(pair, tmp_path):
    done = run_in_process("synth", *style(pair, *WYSE, f"--out={tmp_path}/a.wav", f"--plot={tmp_path}/a.png"))
    assert done.returncode == 0, done.stderr
    wave, rate = soundfile.read(tmp_path / "a.wav")
    content, _ = soundfile.read(pair / "content.wav")
    assert rate == RATE
    assert wave.shape == (RATE // 2, 2)
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(np.sqrt(np.mean(content**2)), rel=0.02)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[0] > 800
    assert "step 2/2" in done.stderr


def test_20_db_louder_content_gives_the_same_sound_20_db_louder(pair, tmp_path):
    content, rate = soundfile.read(pair / "content.wav")
    soundfile.write(pair / "soft.wav", content / 10, rate, subtype="FLOAT")
    for name, source in (("loud", "content.wav"), ("soft", "soft.wav")):
        arguments = style(pair, *WYSE, f"--out={tmp_path}/{name}.wav", content=source)
        assert run_in_process("synth", *arguments).returncode == 0
    loud, soft = (
        np.abs(librosa.stft(soundfile.read(tmp_path / f"{name}.wav")[0].T, n_fft=512)) for name in ("loud", "soft")
    )
    # Phases are arbitrary. Rounding and the 16 bits of the softer file change magnitudes a little.
    assert np.linalg.norm(loud - 10 * soft) < 0.1 * np.linalg.norm(loud)


def test_panels_of_figure_1_come_from_one_command(pair, tmp_path):
    config = ClassifierConfig(data=SoundsConfig(classes=("a", "b")), model=ModelConfig(widths=(8, 4), hidden=2))
    variables = jax.jit(ClassifierInference(config).init)(jax.random.key(0))
    bundle.save(tmp_path / "bundle", "texture/classifier", {"classifier": Part(variables, asdict(config))}, {})
    sounds = style(pair, f"--bundle={tmp_path}/bundle", "--iterations=2", f"--out={tmp_path}/figure")
    done = run_in_process("synth", "panels", *sounds[1:])
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "figure").iterdir())
    assert names == [
        "panels.png",
        "random_weights.wav",
        "random_weights_noise.wav",
        "trained_weights.wav",
        "trained_weights_noise.wav",
    ]
    assert len({(tmp_path / "figure" / name).read_bytes() for name in names}) == 5


def test_interrupted_transfer_writes_the_best_result_so_far(pair, cache, tmp_path):
    arguments = style(pair, "--method=wyse", "--filters=8", "--iterations=1000000", f"--out={tmp_path}/a.wav")
    process = subprocess.Popen(
        command("synth", *arguments), cwd=ROOT, env=environment(cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    for line in process.stderr:
        if line.startswith(b"step 20/"):
            break
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 60
    out, err = process.communicate(timeout=max(deadline - time.monotonic(), 1))
    assert process.returncode == 0, err
    assert b"interrupted: best so far" in out
    assert soundfile.info(tmp_path / "a.wav").duration == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method=gan",), "--method='gan' is unknown: choose one of waveform, wyse, ulyanov, image"),
        (
            ("--method=ulyanov", "--noise=0.5"),
            "--noise has no effect in the method ulyanov, whose options are --iterations",
        ),
        (("--method=ulyanov", "--optimizer=adam"), "--optimizer has no effect in the method ulyanov"),
        (("--bundle=b",), "--bundle has no effect in the method waveform"),
        (("--method=wyse", "--weights=a.safetensors"), "--weights has no effect in the method wyse"),
        (("--content_weight=nan",), "--content_weight=nan is not a finite number"),
        (("--seed=-1",), "--seed=-1 must lie between 0 and"),
        (("--method=wyse", "--bundle=b", "--filters=8"), "--filters has no effect with --bundle"),
        (("--method=image",), "needs the weights of VGG-19"),
        (("--method=wyse", "--noise=2"), "noise=2.0 must lie between 0 and 1"),
        (("--method=wyse", "--layers=conv7"), "'conv7' is unknown: choose from conv1, conv2"),
        (("--iterations=0",), "--iterations=0 must be at least 1"),
        (("--method=wyse", "--bundle=nowhere"), "nowhere"),
    ],
)
def test_unusable_options_are_one_line(pair, tmp_path, arguments, message):
    assert message in error_in_process("synth", *style(pair, *arguments, f"--out={tmp_path}/a.wav"))


def test_unusable_sounds_are_one_line(pair, tmp_path):
    soundfile.write(pair / "short.wav", np.full(500, 0.1) * np.arange(500) % 0.2, RATE)
    soundfile.write(pair / "silent.wav", np.zeros(RATE), RATE)
    out = f"--out={tmp_path}/a.wav"
    short = error_in_process("synth", *style(pair, *WYSE, out, content="short.wav"))
    assert "the content has 500 samples, expected at least" in short
    missing = ("style", f"--content={pair}/content.wav", f"--style={pair}/none.wav", *WYSE, out)
    assert "none.wav" in error_in_process("synth", *missing)
    assert "silent" in error_in_process("synth", *style(pair, *WYSE, out, content="silent.wav"))
    silent_style = ("style", f"--content={pair}/content.wav", f"--style={pair}/silent.wav", *WYSE, out)
    assert "silent" in error_in_process("synth", *silent_style)


def test_sounds_writes_one_synthetic_sound_of_each_class(tmp_path):
    done = run_in_process("synth", "sounds", f"--out={tmp_path}/sounds")
    assert done.returncode == 0, done.stderr
    assert sorted(path.stem for path in (tmp_path / "sounds").iterdir()) == sorted(CLASSES)
    assert "exists already" in error_in_process("synth", "sounds", f"--out={tmp_path}/sounds")
