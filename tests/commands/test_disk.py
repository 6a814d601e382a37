"""Full disk: a failed write ends the command with one error line, and files that were complete stay complete.

`RLIMIT_FSIZE` limits the size of every file: it makes larger writes fail, those of libraries too.
"""

import shutil
import sys

import numpy as np
import pytest
import soundfile

from commands.run import SMALL, command, error_line, final_digests, read_log, run_command_line, run_in_process

STEPS = 24
ARGUMENTS = (*SMALL, f"--config.steps={STEPS}", "--config.checkpoint_every=8")


def run_limited(cache, limit, name, *arguments):
    """Run a command that cannot write files larger than `limit` bytes."""
    restrict = (
        "import os, resource, sys; limit = int(sys.argv[1]); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)); os.execv(sys.argv[2], sys.argv[2:])"
    )
    return run_command_line(cache, [sys.executable, "-c", restrict, limit, *command(name, *arguments)])


@pytest.fixture(scope="module")
def uninterrupted_run(tmp_path_factory):
    """Workdir of a run that had enough room."""
    workdir = tmp_path_factory.mktemp("uninterrupted")
    assert run_in_process("train", *ARGUMENTS, f"--workdir={workdir}").returncode == 0
    return workdir


@pytest.fixture(scope="module")
def eight_steps(tmp_path_factory):
    """Workdir of the first eight steps of the same run."""
    workdir = tmp_path_factory.mktemp("eight") / "run"
    assert run_in_process("train", *ARGUMENTS, "--config.steps=8", f"--workdir={workdir}").returncode == 0
    return workdir


@pytest.mark.parametrize(
    "output", ["checkpoint", *(pytest.param(x, marks=pytest.mark.long) for x in ("log", "samples"))]
)
def test_full_disk_stops_the_run_and_it_resumes_with_the_same_bits(
    cache, uninterrupted_run, eight_steps, tmp_path, output
):
    workdir = shutil.copytree(eight_steps, tmp_path / "run")
    extra, limit = {
        "checkpoint": ((), 20_000),
        "log": (("--config.checkpoint_every=0", "--config.sample_every=0"), 5_000),
        "samples": (("--config.checkpoint_every=0", "--config.sample_every=4"), 30_000),
    }[output]
    limited = run_limited(cache, limit, "train", *ARGUMENTS, *extra, f"--workdir={workdir}")
    assert "make room" in error_line(limited)
    resumed = run_in_process("train", *ARGUMENTS, f"--workdir={workdir}")
    assert resumed.returncode == 0, resumed.stderr
    assert "resumed at step 8" in resumed.stderr
    assert final_digests(workdir, STEPS) == final_digests(uninterrupted_run, STEPS)
    assert [line["step"] for line in read_log(workdir) if "train/loss" in line] == list(range(1, STEPS + 1))


def test_full_disk_of_the_compilation_cache_does_not_stop_a_command(tmp_path):
    sound, result = tmp_path / "sound.wav", tmp_path / "result.wav"
    soundfile.write(sound, 0.1 * np.sin(np.arange(2000)), 8000)
    # The sounds are below the limit; compiled programs are above it.
    done = run_limited(tmp_path / "cache", 20_000, "synth", "invert", sound, f"--out={result}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "File too large" in done.stderr
    assert result.is_file()


def test_full_disk_leaves_no_partial_bundle_or_sound(cache, uninterrupted_run, tmp_path):
    out = tmp_path / "bundle"
    assert "cannot be written" in error_line(
        run_limited(cache, 5_000, "export", f"--workdir={uninterrupted_run}", f"--out={out}")
    )
    assert not out.exists()
    assert run_in_process("export", f"--workdir={uninterrupted_run}", f"--out={out}").returncode == 0
    sounds = tmp_path / "sounds"
    done = run_limited(cache, 20_000, "synth", "chord", f"--bundle={out}", "--digit=3", f"--out={sounds}")
    assert "cannot be written" in error_line(done)
    assert not list(sounds.glob("*.wav"))
    assert not list(sounds.glob("*.png"))
