"""Finished runs that several tests read and none changes; all pytest-xdist workers share them."""

import fcntl
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.run import SHORT_RUN, SMALL, run, run_in_process


@pytest.fixture(scope="session")
def cache(shared_folder):
    """Compilation cache of the commands under test."""
    folder = shared_folder / "compiled"
    folder.mkdir(exist_ok=True)
    return folder


def make_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Call `make(folder)` once per test run; other workers wait until it is done."""
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder.with_suffix(".done")
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what a failed attempt may have left
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def uninterrupted_run(cache, shared_folder):
    """Workdir of a `SHORT_RUN` that was never interrupted, and its duration in seconds."""

    def train(workdir):
        begin = time.monotonic()
        done = run(cache, "train", *SHORT_RUN, f"--workdir={workdir}")
        assert done.returncode == 0, done.stderr
        (shared_folder / "duration").write_text(str(time.monotonic() - begin))

    return make_once(shared_folder / "uninterrupted", train), float((shared_folder / "duration").read_text())


@pytest.fixture(scope="session")
def trained_run(shared_folder):
    """Workdir of a finished run of 12 steps."""

    def train(workdir):
        steps = ("--config.steps=12", "--config.checkpoint_every=6", "--config.sample_every=12")
        done = run_in_process("train", *SMALL, *steps, f"--workdir={workdir}")
        assert done.returncode == 0, done.stderr

    return make_once(shared_folder / "trained", train)


@pytest.fixture(scope="session")
def bundle(trained_run, shared_folder):
    """Bundle exported from the run `trained_run`."""

    def export(folder):
        done = run_in_process("export", f"--workdir={trained_run}", f"--out={folder}")
        assert done.returncode == 0, done.stderr

    return make_once(shared_folder / "unet", export)
