"""The knobs command beside a training that runs."""

import json
import signal
import time

import pytest

from commands.run import SMALL, final_digests, finish, log, refusal, run, start
from specjax.engine.live import changes

STEPS = 120
ARGUMENTS = (*SMALL, f"--config.steps={STEPS}", "--config.checkpoint_every=20")
POSTED = (
    ("lr=0.5", "loss.huber=2"),
    ("loss.sobel=0.05", "curriculum=0,1,2,3"),
    ("lr=config", "curriculum=5,6,7", "sample_every=100"),
)


def wait_until(workdir, step, process):
    """Until the log shows that step."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if log_step(workdir) >= step:
            return
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached: {process.poll()}")


def log_step(workdir):
    path = workdir / "metrics.jsonl"
    whole = path.read_text().split("\n")[:-1] if path.exists() else []
    return json.loads(whole[-1])["step"] if whole else 0


def post(cache, workdir, *words):
    done = run(cache, "knobs", f"--workdir={workdir}", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_changed_three_times_and_killed_it_ends_as_the_run_that_had_them_scheduled(cache, tmp_path):
    """Weights, learning rate and curriculum, changed while the run goes; killed after the second."""
    live = tmp_path / "live"
    process = start(cache, live, ARGUMENTS)
    for words in POSTED[:2]:
        wait_until(live, log_step(live) + 20, process)
        process.send_signal(signal.SIGSTOP)  # a short run must not end while the command starts
        post(cache, live, *words)
        process.send_signal(signal.SIGCONT)
    while len(changes.read_history(live)) < 2 and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    shown = post(cache, live, *POSTED[2])
    assert "from step" in shown
    assert "waiting, from the next step: lr=config curriculum=5,6,7 sample_every=100" in shown
    finish(start(cache, live, ARGUMENTS))

    history = changes.read_history(live)
    assert [change.values for change in history] == [dict(w.split("=", 1) for w in words) for words in POSTED]
    assert [line["step"] for line in log(live) if "train/loss" in line] == list(range(1, STEPS + 1))

    scheduled = tmp_path / "scheduled"
    finish(start(cache, scheduled, (*ARGUMENTS, "--config.steps=1")))
    (scheduled / "config.json").write_text((live / "config.json").read_text())
    for change in history:
        words = [f"{name}={text}" for name, text in change.values.items()]
        post(cache, scheduled, f"--at_step={change.step}", *words)
    finish(start(cache, scheduled, ARGUMENTS))
    assert final_digests(scheduled, STEPS) == final_digests(live, STEPS)


@pytest.fixture(scope="module")
def finished(cache, tmp_path_factory):
    """A short run to try requests on."""
    workdir = tmp_path_factory.mktemp("finished")
    done = run(cache, "train", *SMALL, "--config.steps=2", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("warp=9",), "'warp' is no knob of this run: choose from lr, loss.mse"),
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
def test_what_cannot_be_changed_is_refused(cache, finished, arguments, message):
    assert message in refusal(run(cache, "knobs", f"--workdir={finished}", *arguments))
    assert changes.waiting(finished) == []


def test_without_a_change_it_shows_what_there_is(cache, finished):
    done = run(cache, "knobs", f"--workdir={finished}")
    assert done.returncode == 0
    assert "loss.ms_ssim" in done.stdout
    assert "0,1,2,3,4,5,6,7,8,9" in done.stdout


@pytest.mark.parametrize("workdir", ["", "nowhere"])
def test_a_folder_that_is_no_run_is_refused(cache, tmp_path, workdir):
    refusal(run(cache, "knobs", *([f"--workdir={tmp_path / workdir}"] if workdir else []), "lr=1"))
