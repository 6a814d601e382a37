"""A run that is killed, stopped, crowded or spread over processes ends as one that was left alone."""

import json
import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from mains.commands import ROOT, SMALL, command, environment, run
from specjax.config import read_json
from specjax.engine import changes, loop, mesh
from specjax.engine.checkpoint import Checkpoints, digests
from specjax.wings import build

STEPS = 40
ARGUMENTS = (
    *SMALL,
    f"--config.steps={STEPS}",
    "--config.checkpoint_every=4",
    "--config.sample_every=20",
    "--config.optimiser.learning_rate.value=0.0004",  # Adam at its full rate would enlarge rounding, step by step
)


def start(cache, workdir, arguments=ARGUMENTS, **extra):
    return subprocess.Popen(
        command("train", *arguments, f"--workdir={workdir}"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(cache, **extra),
    )


def final_digests(workdir, steps=STEPS):
    """Fingerprints of everything in the newest checkpoint."""
    _, task = build(read_json(workdir / "config.json"))
    checkpoints = Checkpoints(workdir / "checkpoints")
    step, state, _ = checkpoints.restore_newest(loop.abstract_run(task, mesh.make_mesh()))
    checkpoints.close()
    assert step == steps
    return digests(state)


def log(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(cache, tmp_path_factory):
    """Workdir of the run that was left alone, and how long its steps took."""
    workdir = tmp_path_factory.mktemp("undisturbed")
    begin = time.monotonic()
    done = run(cache, "train", *ARGUMENTS, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir, time.monotonic() - begin


def _kill_until_done(cache, workdir, seconds, kills, seed):
    """Kill the run at random instants, so many times, then let it finish."""
    chance = random.Random(seed)
    done = 0
    while done < kills:
        process = start(cache, workdir)
        # Half of the instants lie anywhere in a run's life, half shortly after a checkpoint begins to appear.
        if chance.random() < 0.5:
            time.sleep(chance.uniform(0.1, seconds))
        else:
            before = set((workdir / "checkpoints").glob("*")) if workdir.exists() else set()
            while process.poll() is None and set((workdir / "checkpoints").glob("*")) <= before:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.1))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            done += 1
        process.communicate()
        if (workdir / "checkpoints" / str(STEPS)).exists():
            break
    last = start(cache, workdir)
    assert last.wait(300) == 0, last.communicate()[1]
    last.communicate()
    return done


@pytest.mark.parametrize("kills", [5, pytest.param(25, marks=pytest.mark.long)])
def test_killed_anywhere_it_ends_with_the_same_bits(cache, undisturbed, tmp_path, kills):
    workdir, seconds = undisturbed
    total, round_ = 0, 0
    while total < kills:
        run_folder = tmp_path / f"killed{round_}"
        total += _kill_until_done(cache, run_folder, seconds, kills - total, seed=round_)
        assert final_digests(run_folder) == final_digests(workdir)
        assert [line["step"] for line in log(run_folder)] == list(range(1, STEPS + 1)), "each step is logged once"
        round_ += 1
    losses = [[line["train/loss"] for line in log(folder)] for folder in (run_folder, workdir)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_at_the_current_step_and_leaves(cache, undisturbed, tmp_path, number):
    process = start(cache, tmp_path)
    while process.poll() is None and not (tmp_path / "metrics.jsonl").exists():
        time.sleep(0.01)
    while process.poll() is None and len(log(tmp_path)) < 3:
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + number, said
    assert "the same command resumes" in said
    saved = max(int(path.name) for path in (tmp_path / "checkpoints").iterdir() if path.name.isdecimal())
    assert saved == log(tmp_path)[-1]["step"]
    last = start(cache, tmp_path)
    assert last.wait(300) == 0, last.communicate()[1]
    last.communicate()
    assert final_digests(tmp_path) == final_digests(undisturbed[0])


def test_two_runs_in_one_workdir(cache, tmp_path):
    first = start(cache, tmp_path)
    while first.poll() is None and not (tmp_path / "metrics.jsonl").exists():
        time.sleep(0.01)
    second = run(cache, "train", *ARGUMENTS, f"--workdir={tmp_path}")
    first.kill()
    first.communicate()
    assert second.returncode == 2
    assert f'"pid": {first.pid}' in second.stderr
    assert "is in use by" in second.stderr


def test_a_lock_that_outlived_its_holder_is_no_lock(cache, tmp_path):
    """The file stays, the kernel's lock goes with the process, however it ended."""
    first = start(cache, tmp_path)
    while first.poll() is None and not (tmp_path / "metrics.jsonl").exists():
        time.sleep(0.01)
    first.kill()
    first.communicate()
    assert str(first.pid) in (tmp_path / "lock.json").read_text()
    assert run(cache, "train", *ARGUMENTS, f"--workdir={tmp_path}").returncode == 0


def test_a_second_signal_leaves_at_once(cache, tmp_path):
    """While the first one's save is still under way."""
    process = start(cache, tmp_path)
    while process.poll() is None and not (tmp_path / "metrics.jsonl").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.001)
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert time.monotonic() - begin < 5
    assert run(cache, "train", *ARGUMENTS, f"--workdir={tmp_path}").returncode == 0


def pod(cache, workdir, *arguments):
    """Two processes on this machine."""
    return subprocess.run(
        [sys.executable, str(ROOT / "launch" / "local_pod.py"), "--processes=2", "--restarts=0", "--", *arguments,
         f"--workdir={workdir}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(cache),
        timeout=300,
        check=False,
    )  # fmt: skip


def test_two_processes_train_as_one(cache, undisturbed, tmp_path):
    done = pod(cache, tmp_path, *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    one, two = ([line["train/loss"] for line in log(folder)] for folder in (undisturbed[0], tmp_path))
    np.testing.assert_allclose(two, one, rtol=1e-5)


def test_two_processes_agree_on_a_change(cache, tmp_path):
    """One change from the history, one request taken up by process 0; against one process with the same history."""
    workdir = tmp_path / "pod"
    workdir.mkdir()
    changes.history_path(workdir).write_text('{"step": 5, "values": {"lr": "0.5"}, "request": "a"}\n')
    changes.post(workdir, {"curriculum": "0,1,2,3,4", "loss.l1": "0.1"}, 10)
    done = pod(cache, workdir, *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    assert [change.step for change in changes.read_history(workdir)] == [5, 10]
    alone = tmp_path / "alone"
    alone.mkdir()
    changes.history_path(alone).write_bytes(changes.history_path(workdir).read_bytes())
    assert run(cache, "train", *ARGUMENTS, f"--workdir={alone}").returncode == 0
    one, two = ([line["train/loss"] for line in log(folder)] for folder in (alone, workdir))
    np.testing.assert_allclose(two, one, rtol=1e-5)


@pytest.mark.parametrize("devices", [2, 4])
def test_several_devices_train_as_one(cache, undisturbed, tmp_path, devices):
    done = run(cache, "train", *ARGUMENTS, f"--workdir={tmp_path}", JAX_NUM_CPU_DEVICES=str(devices))
    assert done.returncode == 0, done.stderr
    one, several = ([line["train/loss"] for line in log(folder)] for folder in (undisturbed[0], tmp_path))
    np.testing.assert_allclose(several, one, rtol=1e-5)


def test_saved_on_four_devices_opened_on_one(cache, tmp_path):
    four = run(cache, "train", *SMALL, "--config.steps=4", f"--workdir={tmp_path}", JAX_NUM_CPU_DEVICES="4")
    assert four.returncode == 0, four.stderr
    one = run(cache, "train", *SMALL, "--config.steps=4", f"--workdir={tmp_path}", JAX_NUM_CPU_DEVICES="1")
    assert one.returncode == 0, one.stderr
    assert "resumed at step 4" in one.stderr
    assert jax.device_count() == 4
