"""Command study, run as a user would."""

import pytest

from commands.run import SMALL, error_in_process, run_in_process
from specjax.papers.chord import studies


@pytest.mark.long  # engine/test_study.py has the same without trainings
def test_study_prints_table_and_does_not_train_again(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("SPECJAX_CACHE", str(cache))  # of the trainings, which are processes
    arguments = ("skips", *SMALL, "--config.steps=2", "--seeds=1", "--examples=8", f"--workdir={tmp_path}/studies")
    done = run_in_process("study", *arguments)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| with")]
    assert [row.split("|")[1].strip() for row in rows] == ["with", "without"]
    assert all("1 of 1" in row for row in rows)
    (log,) = (tmp_path / "studies" / "skips").glob("*/without-0/metrics.jsonl")
    before = log.stat().st_mtime_ns
    assert run_in_process("study", *arguments).stdout == done.stdout
    assert log.stat().st_mtime_ns == before


def test_each_config_has_a_folder_of_its_own(tmp_path, monkeypatch):
    chosen = []
    monkeypatch.setitem(studies.QUESTIONS, "heads", lambda options: chosen.append(options.workdir))
    for change in ("--config.seed=0", "--config.seed=1", "--config.optimizer.clip=2.0", "--config.seed=0"):
        done = run_in_process("study", "heads", "--config=unet:small", change, f"--workdir={tmp_path}")
        assert done.returncode == 0, done.stderr
    assert chosen[0] == chosen[3]
    assert len(set(chosen)) == 3
    assert {folder.parent for folder in chosen} == {tmp_path / "heads"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a question: one of heads, losses"),
        (("why", "--config=unet:small"), "name a question"),
        (("heads",), "--config is missing"),
        (("heads", "--config=unet:small", "--workdir=/proc/none"), "cannot be written"),
        (("heads", "--config=unet:small", "--seeds=-1"), "seeds"),
    ],
)
def test_bad_questions_and_options_are_errors(arguments, message):
    assert message in error_in_process("study", *arguments)
