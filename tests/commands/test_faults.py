"""A run that is killed, stopped, crowded or spread over processes ends as one that was left alone."""

import random
import signal
import time

import pytest

from commands.run import SHORT_RUN, SHORT_STEPS, final_digests, finish, log, run, start


def _kill_until_done(cache, workdir, seconds, kills, seed):
    """Kill the run at random instants, so many times, then let it finish."""
    chance, run = random.Random(seed), (*SHORT_RUN, "--config.sample_every=20")
    done = 0
    while done < kills:
        process = start(cache, workdir, run)
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
        if (workdir / "checkpoints" / str(SHORT_STEPS)).exists():
            break
    finish(start(cache, workdir, run))
    return done


@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.long)])
def test_killed_anywhere_it_ends_with_the_same_bits(cache, undisturbed, tmp_path, kills):
    workdir, seconds = undisturbed
    total, round_ = 0, 0
    while total < kills:
        run_folder = tmp_path / f"killed{round_}"
        total += _kill_until_done(cache, run_folder, seconds, kills - total, seed=round_)
        assert final_digests(run_folder, SHORT_STEPS) == final_digests(workdir, SHORT_STEPS)
        assert [line["step"] for line in log(run_folder)] == list(range(1, SHORT_STEPS + 1)), "each step is logged once"
        round_ += 1
    losses = [[line["train/loss"] for line in log(folder)] for folder in (run_folder, workdir)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_signal_saves_at_the_current_step_and_leaves(cache, undisturbed, tmp_path, number):
    process = start(cache, tmp_path, SHORT_RUN)
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
    finish(start(cache, tmp_path, SHORT_RUN))
    assert final_digests(tmp_path, SHORT_STEPS) == final_digests(undisturbed[0], SHORT_STEPS)


def test_two_runs_in_one_workdir(cache, tmp_path):
    """The second is refused. When the first is killed its lock's file stays, but the kernel's lock goes with it."""
    first = start(cache, tmp_path, SHORT_RUN)
    while first.poll() is None and not (tmp_path / "metrics.jsonl").exists():
        time.sleep(0.01)
    second = run(cache, "train", *SHORT_RUN, f"--workdir={tmp_path}")
    first.kill()
    first.communicate()
    assert second.returncode == 2
    assert f'"pid": {first.pid}' in second.stderr
    assert "is in use by" in second.stderr
    assert str(first.pid) in (tmp_path / "lock.json").read_text()
    assert run(cache, "train", *SHORT_RUN, f"--workdir={tmp_path}").returncode == 0


def test_a_second_signal_leaves_at_once(cache, tmp_path):
    """While the first one's save is still under way."""
    process = start(cache, tmp_path, SHORT_RUN)
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
    assert run(cache, "train", *SHORT_RUN, f"--workdir={tmp_path}").returncode == 0
