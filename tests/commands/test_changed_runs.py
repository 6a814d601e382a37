"""Runs that are resumed with another config, and what their bundles say, with a task that trains within a second."""

import json

import pytest
from test_add_a_paper import ENTRIES

from commands.run import ROOT, error_in_process, run_in_process
from specjax import papers

TRAIN = ("train", f"--config={ROOT}/tests/example_paper/experiment.py")
FASTER = "--config.optimizer.learning_rate=0.2"


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """Run that made 4 of 8 updates, with a learning rate of 0.1."""
    monkeypatch.setattr(papers, "TASKS", papers.TASKS | ENTRIES)
    done = run_in_process(*TRAIN, "--config.steps=4", f"--workdir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    return tmp_path / "run"


def export(workdir, name):
    """Export a run, and return what the card says about its training."""
    folder = workdir.with_name(name)
    done = run_in_process("export", f"--workdir={workdir}", f"--out={folder}")
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "card.json").read_text())["about"]["training"]


def test_other_settings_must_be_allowed_and_the_bundle_says_so(workdir):
    before = export(workdir, "before")
    assert (before["config"]["steps"], before["config"]["optimizer"]["learning_rate"]["value"]) == (4, 0.1)
    assert before["changes"] == []

    config = (workdir / "config.json").read_text()
    train = (*TRAIN, "--config.steps=8", FASTER, f"--workdir={workdir}")
    error = error_in_process(*train)
    assert "began with another config or data (optimizer.learning_rate.value was 0.1 and is 0.2): name another" in error
    assert (workdir / "config.json").read_text() == config
    done = run_in_process(*train, "--allow_changes")
    assert done.returncode == 0, done.stderr

    (workdir / "config.json").write_text(config)  # what was typed last says nothing about the weights
    after = export(workdir, "after")
    assert after["config"]["optimizer"]["learning_rate"]["value"] == 0.2
    (change,) = after["changes"]
    assert (change["step"], change["config"]["optimizer.learning_rate.value"]) == (4, [0.1, 0.2])


def test_finished_run_cannot_be_said_to_have_other_settings(workdir):
    train = (*TRAIN, "--config.steps=4", FASTER, "--allow_changes", f"--workdir={workdir}")
    assert "has finished with another config or data" in error_in_process(*train)
    assert export(workdir, "bundle")["config"]["optimizer"]["learning_rate"]["value"] == 0.1
