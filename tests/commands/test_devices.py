"""A run spread over devices or processes trains as one on a single device."""

import shutil
import sys

import numpy as np
import pytest

from commands.run import ROOT, SHORT_RUN, SMALL, log, run, run_words
from specjax.engine.live import changes


def pod(cache, workdir, *arguments):
    """Two processes on this machine."""
    launch = [sys.executable, ROOT / "launch" / "local_pod.py", "--processes=2", "--restarts=0", "--"]
    return run_words(cache, [*launch, *arguments, f"--workdir={workdir}"])


def test_two_processes_train_as_one(cache, undisturbed, tmp_path):
    done = pod(cache, tmp_path, *SHORT_RUN)
    assert done.returncode == 0, done.stderr
    one, two = ([line["train/loss"] for line in log(folder)] for folder in (undisturbed[0], tmp_path))
    np.testing.assert_allclose(two, one, rtol=1e-5)


@pytest.mark.long
def test_two_processes_agree_on_a_change(cache, tmp_path):
    """One change from the history, one request taken up by process 0; against one process with the same history."""
    workdir = tmp_path / "pod"
    workdir.mkdir()
    changes.history_path(workdir).write_text('{"step": 5, "values": {"lr": "0.5"}, "request": "a"}\n')
    changes.post(workdir, {"curriculum": "0,1,2,3,4", "loss.l1": "0.1"}, 10)
    done = pod(cache, workdir, *SHORT_RUN)
    assert done.returncode == 0, done.stderr
    assert [change.step for change in changes.read_history(workdir)] == [5, 10]
    alone = tmp_path / "alone"
    alone.mkdir()
    changes.history_path(alone).write_bytes(changes.history_path(workdir).read_bytes())
    assert run(cache, "train", *SHORT_RUN, f"--workdir={alone}").returncode == 0
    one, two = ([line["train/loss"] for line in log(folder)] for folder in (alone, workdir))
    np.testing.assert_allclose(two, one, rtol=1e-5)


@pytest.mark.parametrize("devices", [pytest.param(2, marks=pytest.mark.long), 4])
def test_several_devices_train_as_one(cache, undisturbed, tmp_path, devices):
    done = run(cache, "train", *SHORT_RUN, f"--workdir={tmp_path}", JAX_NUM_CPU_DEVICES=str(devices))
    assert done.returncode == 0, done.stderr
    one, several = ([line["train/loss"] for line in log(folder)] for folder in (undisturbed[0], tmp_path))
    np.testing.assert_allclose(several, one, rtol=1e-5)


@pytest.fixture(scope="module")
def of_four_devices(cache, tmp_path_factory):
    """Workdir of four steps on four devices."""
    workdir = tmp_path_factory.mktemp("devices") / "four"
    done = run(cache, "train", *SMALL, "--config.steps=4", f"--workdir={workdir}", JAX_NUM_CPU_DEVICES="4")
    assert done.returncode == 0, done.stderr
    return workdir


def going_on(cache, of_four_devices, workdir, devices):
    """Losses of a run that was saved on four devices and goes on with so many."""
    shutil.copytree(of_four_devices, workdir)
    done = run(cache, "train", *SMALL, "--config.steps=8", f"--workdir={workdir}", JAX_NUM_CPU_DEVICES=str(devices))
    assert done.returncode == 0, done.stderr
    assert "resumed at step 4" in done.stderr
    return [line["train/loss"] for line in log(workdir)]


@pytest.fixture(scope="module")
def losses_on_four(cache, of_four_devices, tmp_path_factory):
    return going_on(cache, of_four_devices, tmp_path_factory.mktemp("on") / "four", 4)


@pytest.mark.parametrize("devices", [1, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 8))])
def test_saved_on_four_devices_goes_on_with_others(cache, of_four_devices, losses_on_four, tmp_path, devices):
    """Digests of every array agree as it is opened, or it would not go on."""
    losses = going_on(cache, of_four_devices, tmp_path / "run", devices)
    np.testing.assert_allclose(losses, losses_on_four, rtol=1e-5)
