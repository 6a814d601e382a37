"""Command knobs, used while a run trains."""

import json
import signal
import time

import pytest

from commands.run import SMALL, error_in_process, final_digests, finish, read_log, run_in_process, start
from specjax.engine.live import changes

STEPS = 60
ARGUMENTS = (*SMALL, f"--config.steps={STEPS}", "--config.checkpoint_every=10")
CHANGES = (
    ("lr=0.5", "loss.huber=2"),
    ("loss.sobel=0.05", "curriculum=0,1,2,3"),
    ("lr=config", "curriculum=5,6,7", "sample_every=100"),
)


def wait_for_step(workdir, step, process):
    """Wait until the log of a run has reached `step`."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if last_logged_step(workdir) >= step:
            return
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached: {process.poll()}")


def last_logged_step(workdir):
    """Last step in the log of a run; 0 if there is none."""
    path = workdir / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def post(workdir, *words):
    """Run the command knobs in this process, and return what it prints."""
    done = run_in_process("knobs", f"--workdir={workdir}", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long  # engine/live/test_changes.py has the same in one process
def test_killed_run_with_changes_ends_like_a_run_with_the_changes_scheduled(cache, tmp_path):
    """Loss weights, learning rate and curriculum change while the run trains. It is killed after the second change."""
    live = tmp_path / "live"
    process = start(cache, live, ARGUMENTS)
    for words in CHANGES[:2]:
        wait_for_step(live, last_logged_step(live) + 10, process)
        process.send_signal(signal.SIGSTOP)  # The short run must not end while the command starts.
        post(live, *words)
        process.send_signal(signal.SIGCONT)
    while len(changes.read_history(live)) < 2 and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    shown = post(live, *CHANGES[2])
    assert "from step" in shown
    assert "waiting, from the next step: lr=config curriculum=5,6,7 sample_every=100" in shown
    finish(start(cache, live, ARGUMENTS))

    history = changes.read_history(live)
    assert [change.values for change in history] == [dict(w.split("=", 1) for w in words) for words in CHANGES]
    assert [line["step"] for line in read_log(live) if "train/loss" in line] == list(range(1, STEPS + 1))

    scheduled = tmp_path / "scheduled"
    scheduled.mkdir()
    (scheduled / "config.json").write_text((live / "config.json").read_text())
    for change in history:
        words = [f"{name}={text}" for name, text in change.values.items()]
        post(scheduled, f"--at_step={change.step}", *words)
    finish(start(cache, scheduled, ARGUMENTS))
    assert final_digests(scheduled, STEPS) == final_digests(live, STEPS)


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """Workdir of a finished run of two steps."""
    workdir = tmp_path_factory.mktemp("finished")
    done = run_in_process("train", *SMALL, "--config.steps=2", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("warp=9",), "'warp' is not a live value of this run: choose from lr, ema_decay, loss.mse"),
        (("lr",), "'lr' is not of the form NAME=VALUE"),
        (("lr=fast",), "lr: 'fast' is not a finite number of at least 0"),
        (("lr=-1",), "lr: '-1' is not a finite number"),
        (("lr=1", "lr=2"), "lr is given twice"),
        (("loss.ms_ssim=nan",), "loss.ms_ssim: 'nan' is not a finite number"),
        (("curriculum=10",), "curriculum: '10' is not a list of labels from 0 to 9"),
        (("ema_decay=1",), "ema_decay: '1' is not a finite number of at least 0 and below 1"),
        (("sample_every=1.5",), "sample_every: '1.5' is not a number of steps"),
        (("--at_step=1", "lr=1"), "the run is at step 2 and ends at 2"),
        (("--at_step=5",), "--at_step changes nothing by itself"),
        (("--at_step=-1", "lr=1"), "at_step"),
    ],
)
def test_invalid_changes_are_errors_and_are_not_posted(finished_run, arguments, message):
    assert message in error_in_process("knobs", f"--workdir={finished_run}", *arguments)
    assert changes.list_pending_requests(finished_run) == []


def test_without_a_change_all_live_values_are_printed(finished_run):
    done = run_in_process("knobs", f"--workdir={finished_run}")
    assert done.returncode == 0, done.stderr
    assert "loss.ms_ssim" in done.stdout
    assert "0,1,2,3,4,5,6,7,8,9" in done.stdout


@pytest.mark.parametrize(
    ("folder", "message"), [(None, "--workdir is missing: name the folder of a run"), ("nowhere", "No such file")]
)
def test_folder_that_is_no_run_is_an_error(tmp_path, folder, message):
    workdir = [f"--workdir={tmp_path / folder}"] if folder else []
    assert message in error_in_process("knobs", *workdir, "lr=1")
