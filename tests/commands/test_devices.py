"""Runs on several devices or processes train like a run on a single device."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from commands.run import ROOT, SHORT_RUN, read_log, run, run_command_line
from specjax.engine.live import changes

STEPS = 8
BRIEF_RUN = (*SHORT_RUN, f"--config.steps={STEPS}")


def losses(workdir):
    """Losses of the first steps of a run."""
    return [line["train/loss"] for line in read_log(workdir)][:STEPS]


def run_pod(cache, workdir, *arguments):
    """Train with two processes on this machine."""
    launch = [sys.executable, ROOT / "launch" / "local_pod.py", "--processes=2", "--restarts=0", "--"]
    return run_command_line(cache, [*launch, *arguments, f"--workdir={workdir}"])


def test_two_processes_have_the_losses_of_one(cache, uninterrupted_run, tmp_path):
    done = run_pod(cache, tmp_path, *BRIEF_RUN)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(losses(tmp_path), losses(uninterrupted_run[0]), rtol=1e-5)


@pytest.mark.long
def test_two_processes_take_up_changes_of_live_values_at_the_same_step(cache, tmp_path):
    """One change is in the history, the other is a request that process 0 takes up."""
    workdir = tmp_path / "pod"
    workdir.mkdir()
    changes.history_path(workdir).write_text('{"step": 5, "values": {"lr": "0.5"}, "request": "a"}\n')
    changes.post(workdir, {"curriculum": "0,1,2,3,4", "loss.l1": "0.1"}, 10)
    done = run_pod(cache, workdir, *SHORT_RUN)
    assert done.returncode == 0, done.stderr
    assert [change.step for change in changes.read_history(workdir)] == [5, 10]
    single = tmp_path / "single"
    single.mkdir()
    changes.history_path(single).write_bytes(changes.history_path(workdir).read_bytes())
    assert run(cache, "train", *SHORT_RUN, f"--workdir={single}").returncode == 0
    one, two = ([line["train/loss"] for line in read_log(folder)] for folder in (single, workdir))
    np.testing.assert_allclose(two, one, rtol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("devices", [2, 4])
def test_several_devices_have_the_losses_of_one(cache, uninterrupted_run, tmp_path, devices):
    done = run(cache, "train", *BRIEF_RUN, f"--workdir={tmp_path}", JAX_NUM_CPU_DEVICES=str(devices))
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(losses(tmp_path), losses(uninterrupted_run[0]), rtol=1e-5)


@pytest.fixture(scope="session")
def half_run_on_four_devices(cache, tmp_path_factory):
    """Workdir of the first half of a `BRIEF_RUN`, on four devices."""
    workdir = tmp_path_factory.mktemp("devices") / "four"
    half = (*SHORT_RUN, f"--config.steps={STEPS // 2}")
    done = run(cache, "train", *half, f"--workdir={workdir}", JAX_NUM_CPU_DEVICES="4")
    assert done.returncode == 0, done.stderr
    return workdir


@pytest.mark.long  # engine/test_toys.py has the same test with small programs
@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_run_saved_on_four_devices_resumes_on_another_number_with_the_losses_of_one(
    cache, half_run_on_four_devices, uninterrupted_run, tmp_path, devices
):
    """Restoring also verifies the digests of all arrays: a mismatch would end the run."""
    workdir = shutil.copytree(half_run_on_four_devices, tmp_path / "run")
    done = run(cache, "train", *BRIEF_RUN, f"--workdir={workdir}", JAX_NUM_CPU_DEVICES=str(devices))
    assert done.returncode == 0, done.stderr
    assert f"resumed at step {STEPS // 2}" in done.stderr
    np.testing.assert_allclose(losses(workdir), losses(uninterrupted_run[0]), rtol=1e-5)


def test_pod_shows_what_failed_and_ends_with_its_launcher(tmp_path):
    script = tmp_path / "specjax" / "train.py"  # a stand-in, found before the package
    script.parent.mkdir()
    script.write_text(
        "import os, sys, time\n"
        f"open({str(tmp_path)!r} + '/pid' + sys.argv[3][-1], 'w').write(str(os.getpid()))\n"
        "sys.exit('no luck') if 'fail' in sys.argv and sys.argv[3].endswith('1') else time.sleep(60)\n"
    )
    (script.parent / "__init__.py").touch()
    launch = [sys.executable, str(ROOT / "launch" / "local_pod.py"), "--restarts=0", "--"]
    failed = subprocess.run([*launch, "fail"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "pod: process 1: no luck" in failed.stderr

    for path in tmp_path.glob("pid?"):
        path.unlink()
    launcher = subprocess.Popen(launch, cwd=tmp_path)
    wait_for(lambda: len([path for path in tmp_path.glob("pid?") if path.read_text()]) == 2)
    launcher.kill()
    launcher.wait()
    wait_for(lambda: not any(is_running(int(path.read_text())) for path in tmp_path.glob("pid?")))


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
