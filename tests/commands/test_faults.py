"""Runs that are killed or stopped and then resumed end with the same bits as an uninterrupted run."""

import random
import signal
import time

import pytest

from commands.run import (
    SHORT_RUN,
    SHORT_STEPS,
    error_in_process,
    final_digests,
    finish,
    read_log,
    run_in_process,
    start,
)


def kill_until_done(cache, workdir, seconds, kills, seed):
    """Kill a run at random times, at most `kills` times, then let it finish; returns the number of kills.

    Args:
      seconds: duration of an uninterrupted run.
      seed: of the random times.
    """
    rng, arguments = random.Random(seed), (*SHORT_RUN, "--config.sample_every=20")
    done = 0
    while done < kills:
        process = start(cache, workdir, arguments)
        # Half of the times are anywhere in the run, half are shortly after a checkpoint begins to appear.
        if rng.random() < 0.5:
            time.sleep(rng.uniform(0.1, seconds))
        else:
            before = set((workdir / "checkpoints").glob("*")) if workdir.exists() else set()
            while process.poll() is None and set((workdir / "checkpoints").glob("*")) <= before:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.1))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            done += 1
        process.communicate()
        if (workdir / "checkpoints" / str(SHORT_STEPS)).exists():
            break
    finish(start(cache, workdir, arguments))
    return done


def wait_for_log(process, workdir, lines=0):
    """Wait until the metrics log of a run exists and has at least `lines` lines, or the run has ended."""
    while process.poll() is None and not (workdir / "metrics.jsonl").exists():
        time.sleep(0.01)
    while lines and process.poll() is None and len(read_log(workdir)) < lines:
        time.sleep(0.01)


@pytest.mark.parametrize("kills", [2, pytest.param(25, marks=pytest.mark.long)])
def test_killed_run_ends_with_the_same_bits(cache, uninterrupted_run, tmp_path, kills):
    workdir, seconds = uninterrupted_run
    total, attempt = 0, 0
    while total < kills:  # A run may finish before it was killed often enough.
        run_folder = tmp_path / f"killed{attempt}"
        total += kill_until_done(cache, run_folder, seconds, kills - total, seed=attempt)
        assert final_digests(run_folder, SHORT_STEPS) == final_digests(workdir, SHORT_STEPS)
        assert [line["step"] for line in read_log(run_folder)] == list(range(1, SHORT_STEPS + 1)), (
            "each step is logged once"
        )
        attempt += 1
    losses = [[line["train/loss"] for line in read_log(folder)] for folder in (run_folder, workdir)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_signal_saves_the_current_step_and_ends_the_run(cache, uninterrupted_run, tmp_path, number):
    process = start(cache, tmp_path, SHORT_RUN)
    if number == signal.SIGHUP:
        process.stderr.close()  # The terminal is closed: nothing can be written to it any more.
    wait_for_log(process, tmp_path, lines=3)
    process.send_signal(number)
    stderr = process.communicate(timeout=120)[1] if number != signal.SIGHUP else process.wait(timeout=120)
    assert process.returncode == 128 + number, stderr
    assert number == signal.SIGHUP or "the same command resumes" in stderr
    saved = max(int(path.name) for path in (tmp_path / "checkpoints").iterdir() if path.name.isdecimal())
    assert saved == read_log(tmp_path)[-1]["step"]
    finish(start(cache, tmp_path, SHORT_RUN))
    assert final_digests(tmp_path, SHORT_STEPS) == final_digests(uninterrupted_run[0], SHORT_STEPS)


def test_second_run_in_a_workdir_fails_until_the_first_has_ended(cache, tmp_path):
    """The first run is killed. Its lock file stays, but the kernel releases the lock."""
    first = start(cache, tmp_path, SHORT_RUN)
    wait_for_log(first, tmp_path)
    first.send_signal(signal.SIGSTOP)  # The short run must not end while the second one starts.
    message = error_in_process("train", *SHORT_RUN, f"--workdir={tmp_path}")
    first.kill()
    first.communicate()
    assert f'"pid": {first.pid}' in message
    assert "is in use by" in message
    assert str(first.pid) in (tmp_path / "lock.json").read_text()
    assert run_in_process("train", *SHORT_RUN, f"--workdir={tmp_path}").returncode == 0


def test_second_signal_ends_the_run_at_once(cache, tmp_path):
    """The second signal arrives while the run is saving because of the first."""
    process = start(cache, tmp_path, SHORT_RUN)
    wait_for_log(process, tmp_path)
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.001)
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert time.monotonic() - begin < 5
