"""One small run, shared by the tests that only look at it."""

import pytest

from mains.commands import SMALL, run


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Compilation cache of the commands under test."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def trained(cache, tmp_path_factory):
    """Workdir of a finished run of 12 steps."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    done = run(cache, "train", *SMALL, "--config.steps=12", "--config.checkpoint_every=6", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir


@pytest.fixture(scope="session")
def bundle(cache, trained, tmp_path_factory):
    """The run as a bundle."""
    folder = tmp_path_factory.mktemp("bundles") / "unet"
    done = run(cache, "export", f"--workdir={trained}", f"--out={folder}")
    assert done.returncode == 0, done.stderr
    return folder
