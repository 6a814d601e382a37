"""Finished runs that several tests read and none changes."""

import os
import time

import pytest

from commands.run import SHORT_RUN, SMALL, run


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Compilation cache of the commands under test, shared by all pytest-xdist workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "compiled"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def uninterrupted(cache, tmp_path_factory):
    """Workdir of a `SHORT_RUN` that was never interrupted, and its duration in seconds."""
    workdir = tmp_path_factory.mktemp("uninterrupted")
    begin = time.monotonic()
    done = run(cache, "train", *SHORT_RUN, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir, time.monotonic() - begin


@pytest.fixture(scope="session")
def trained(cache, tmp_path_factory):
    """Workdir of a finished run of 12 steps."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    steps = ("--config.steps=12", "--config.checkpoint_every=6", "--config.sample_every=12")
    done = run(cache, "train", *SMALL, *steps, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir


@pytest.fixture(scope="session")
def bundle(cache, trained, tmp_path_factory):
    """Bundle exported from the run `trained`."""
    folder = tmp_path_factory.mktemp("bundles") / "unet"
    done = run(cache, "export", f"--workdir={trained}", f"--out={folder}")
    assert done.returncode == 0, done.stderr
    return folder
