"""Paths on the command line: `~` is expanded, and remote addresses are errors."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from commands.run import ROOT, SMALL, error_in_process, error_line, run_command_line, run_in_process
from specjax.cli.config import config_arguments
from specjax.cli.errors import UserError
from specjax.cli.paths import check_local, local_path

REMOTE = "gs://bucket/run"
CHORD = ("synth", "chord", "--digit=4")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Home folder of the user, for the test."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_local_path_expands_home(home):
    assert local_path("~/run", "--workdir") == home / "run"
    assert local_path("~", "--workdir") == home
    with pytest.raises(UserError, match="^~no_such_user/run is in the home of a user who is unknown"):
        local_path("~no_such_user/run", "--workdir")


@pytest.mark.parametrize("text", ["run", "runs/a:b", "/abs/run", "C:run", "gs:/bucket", "a b/c", "-", "tfds:mnist"])
def test_local_path_keeps_other_paths(text):
    assert local_path(text, "--workdir") == Path(text)


@pytest.mark.parametrize("text", [REMOTE, "s3://a", "https://host/a.wav", "hdfs://a", "GS://a"])
def test_remote_address_is_an_error(text):
    with pytest.raises(UserError, match=f"^--workdir={text} is a remote address: name a local folder$"):
        local_path(text, "--workdir")
    with pytest.raises(UserError, match=f"^{text} is a remote address: name a local file$"):
        check_local(text, "", "file")


@pytest.mark.parametrize(
    ("arguments", "flag", "kind"),
    [
        (("train", *SMALL), "--workdir", "folder"),
        (("train", *SMALL, "--workdir=WORKDIR"), "--config.data.source", "folder"),
        (("evaluate",), "--workdir", "folder"),
        (("evaluate", "--workdir=WORKDIR"), "--data", "folder"),
        (("export", "--out=WORKDIR/bundle"), "--workdir", "folder"),
        (("export", "--workdir=WORKDIR"), "--out", "folder"),
        (("knobs", "lr=1"), "--workdir", "folder"),
        (("bench", *SMALL), "--peers_dir", "folder"),
        (("bench", *SMALL), "--plot", "file"),
        (("study", "heads", "--config=unet:small"), "--workdir", "folder"),
        (("study", "inversion"), "--sounds", "file"),
        ((*CHORD, "--out=WORKDIR/o"), "--bundle", "folder"),
        ((*CHORD, "--bundle=WORKDIR/bundle"), "--out", "folder"),
        (("synth", "chord", "--bundle=WORKDIR/bundle", "--out=WORKDIR/o"), "--picture", "file"),
        (("synth", "spectrogram", "a.wav"), "--out", "file"),
        (("synth", "invert", "a.wav", "--out=WORKDIR/a.wav"), "--plot", "file"),
        (("synth", "spectrogram", "--out=WORKDIR/a.png"), "", "file"),
        (("synth", "invert", "--out=WORKDIR/a.wav"), "", "file"),
        (("synth", "stream", "--out=WORKDIR/a.wav"), "", "file"),
        (("synth", "features", "--out=WORKDIR/a.npz"), "", "file"),
    ],
)
def test_every_command_rejects_remote_addresses(tmp_path, arguments, flag, kind):
    words = [word.replace("WORKDIR", str(tmp_path / "w")) for word in arguments]
    named = f"{flag}={REMOTE}" if flag else REMOTE
    shown = named.removeprefix("--") if flag.startswith("--config.") else named
    assert error_in_process(*words, named) == f"error: {shown} is a remote address: name a local {kind}"
    assert not (ROOT / "gs:").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", *SMALL, "--workdir=~/file"), "workdir HOME/file cannot be written"),
        (("train", *SMALL, "--workdir=~/w", "--config.data.source=~/none"), "HOME/none does not exist"),
        (("train", "--config=~/none.py"), "no such file"),
        (("evaluate", "--workdir=~/none"), "HOME/none has no checkpoints: train it first"),
        (("export", "--workdir=~/none", "--out=~/file"), "--out=HOME/file exists already"),
        (("export", "--workdir=~/none", "--out=~/new"), "HOME/none has no checkpoints: train it first"),
        (("knobs", "--workdir=~/none", "lr=1"), "HOME/none/config.json: No such file"),
        (("bench", *SMALL, "--benchmarks=none", "--plot=~/a.png", "--peers_dir=~"), "--benchmarks=none is unknown"),
        (("study", "heads", "--config=unet:small", "--workdir=~/file"), "--workdir=HOME/file/heads/"),
        (("study", "inversion", "--sounds=~/none.wav"), "HOME/none.wav"),
        ((*CHORD, "--bundle=~/none", "--out=~/o"), "HOME/none"),
        ((*CHORD, "--bundle=~/none", "--out=~/file"), "--out=HOME/file cannot be made"),
        (("synth", "chord", "--bundle=~/none", "--picture=~/none.png", "--out=~/o"), "HOME/none.png: No such file"),
        (("synth", "invert", "~/none.wav", "--out=~/a.wav"), "HOME/none.wav: No such file"),
        (("synth", "features", "~/none.wav", "--out=~/taken.npz"), "HOME/taken.npz exists already"),
        (("synth", "stream", "~/none.wav", "--out=~/a.wav"), "HOME/none.wav: No such file"),
        (("synth", "invert", "~/a.wav", "--out=~/b.wav", "--plot=~/taken.png"), "HOME/taken.png exists already"),
    ],
)
def test_every_command_expands_home(home, arguments, message):
    """The paths of the error messages show that the options were expanded."""
    for name in ("file", "taken.npz", "taken.png"):
        (home / name).touch()
    assert message.replace("HOME", str(home)) in error_in_process(*arguments)
    assert not (ROOT / "~").exists()


def test_commands_read_and_write_in_home(home, bundle, trained_run):
    shutil.copytree(trained_run, home / "run")
    shutil.copytree(bundle, home / "bundle")
    wave = 0.5 * np.sin(np.arange(11025) * 0.2)
    soundfile.write(home / "in.wav", wave, 22050)
    digit = np.zeros((28, 28), np.uint8)
    digit[4:24, 12:16] = 255
    Image.fromarray(digit).save(home / "one.png")
    for arguments in (
        ("export", "--workdir=~/run", "--out=~/exported"),
        ("knobs", "--workdir=~/run"),
        ("synth", "chord", "--bundle=~/bundle", "--picture=~/one.png", "--out=~/chords"),
        ("synth", "spectrogram", "~/in.wav", "--out=~/a.png", "--plot=~/plot.png"),
    ):
        done = run_in_process(*arguments)
        assert done.returncode == 0, done.stderr
    made = ("exported/card.json", "chords/one.wav", "chords/one.png", "a.png", "plot.png")
    assert all((home / name).is_file() for name in made)
    assert not (ROOT / "~").exists()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("--config", "unet:tiny"), "unet-tiny"),
        (("--config=unet:tiny",), "unet-tiny"),
        (("-config", "unet:tiny"), "unet-tiny"),
        (("--config", "~/mine.py:tiny"), "mine-tiny"),
        (("--config", "unet"), "unet"),
        (("--config=unet",), "unet"),
    ],
)
def test_default_workdir_is_named_after_the_config(home, monkeypatch, words, name):
    """`train` runs until it would take the lock of its workdir."""
    from specjax.engine import workdir

    def report(path, *, needs_flock):
        raise UserError(json.dumps(str(path)))

    shutil.copy(ROOT / "configs" / "unet.py", home / "mine.py")
    monkeypatch.setattr(workdir, "WorkdirLock", report)
    assert error_in_process("train", *words, "--config.steps=3") == f'error: "runs/{name}"'


def test_config_arguments_are_selected_in_either_form():
    arguments = ["heads", "--config", "unet:small", "--seeds=2", "-config.steps", "3", "--config.data.source=a=b"]
    assert config_arguments(arguments) == ["--config=unet:small", "--config.steps=3", "--config.data.source=a=b"]


def test_synth_runs_through_the_console_script(cache):
    done = run_command_line(cache, [sys.executable, "-m", "specjax", "synth", "invert"])
    assert "the following arguments are required: file" in error_line(done)
