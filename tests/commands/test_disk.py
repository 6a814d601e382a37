"""A disk that is full: whatever cannot be written stops the run with one line, and what was whole stays whole.

`RLIMIT_FSIZE` fails every write past so many bytes of a file, in libraries and in ours alike.
"""

import sys

import pytest

from commands.run import SMALL, command, final_digests, log, refusal, run, run_words

STEPS = 24
ARGUMENTS = (*SMALL, f"--config.steps={STEPS}", "--config.checkpoint_every=8")


def run_limited(cache, limit, name, *arguments):
    """One command whose files may not grow past `limit` bytes."""
    restrict = (
        "import os, resource, sys; limit = int(sys.argv[1]); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)); os.execv(sys.argv[2], sys.argv[2:])"
    )
    return run_words(cache, [sys.executable, "-c", restrict, limit, *command(name, *arguments)])


@pytest.fixture(scope="module")
def undisturbed(cache, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("undisturbed")
    assert run(cache, "train", *ARGUMENTS, f"--workdir={workdir}").returncode == 0
    return workdir


@pytest.mark.parametrize("what", ["checkpoint", "log", pytest.param("samples", marks=pytest.mark.long)])
def test_a_full_disk_stops_the_run_and_spoils_nothing(cache, undisturbed, tmp_path, what):
    workdir = tmp_path / "run"
    first = run(cache, "train", *ARGUMENTS, "--config.steps=8", f"--workdir={workdir}")
    assert first.returncode == 0, first.stderr
    extra, limit = {
        "checkpoint": ((), 20_000),
        "log": (("--config.checkpoint_every=0", "--config.sample_every=0"), 5_000),
        "samples": (("--config.checkpoint_every=0", "--config.sample_every=4"), 30_000),
    }[what]
    said = refusal(run_limited(cache, limit, "train", *ARGUMENTS, *extra, f"--workdir={workdir}"))
    assert "make room" in said
    resumed = run(cache, "train", *ARGUMENTS, f"--workdir={workdir}")
    assert resumed.returncode == 0, resumed.stderr
    assert "resumed at step 8" in resumed.stderr
    assert final_digests(workdir, STEPS) == final_digests(undisturbed, STEPS)
    assert [line["step"] for line in log(workdir) if "train/loss" in line] == list(range(1, STEPS + 1))


def test_a_full_disk_under_the_compilation_cache_only_costs_time(tmp_path):
    cache, workdir = tmp_path / "cache", tmp_path / "run"
    # Checkpoint, pictures and sounds fit; the compiled training step does not.
    extra = (
        "--config.steps=4",
        "--config.sound.sample_rate=4000",
        "--config.model.head_channels=1",
        "--config.model.depth=2",
    )
    done = run_limited(cache, 400_000, "train", *ARGUMENTS, *extra, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "File too large" in done.stderr
    assert len(log(workdir)) == 4


def test_a_full_disk_leaves_no_half_a_bundle_or_sound(cache, undisturbed, tmp_path):
    out = tmp_path / "bundle"
    assert "cannot be written" in refusal(
        run_limited(cache, 5_000, "export", f"--workdir={undisturbed}", f"--out={out}")
    )
    assert not out.exists()
    assert run(cache, "export", f"--workdir={undisturbed}", f"--out={out}").returncode == 0
    sounds = tmp_path / "sounds"
    done = run_limited(cache, 20_000, "synth", "chord", f"--bundle={out}", "--digit=3", f"--out={sounds}")
    assert "cannot be written" in refusal(done)
    assert not list(sounds.glob("*.wav"))
    assert not list(sounds.glob("*.png"))
