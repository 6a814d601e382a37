"""Tests of live values that are changed while training runs: timing, errors, and durability."""

import json
import os
import signal

import jax
import numpy as np
import optax
import pytest

from engine.toy import ToyTask
from specjax.cli.errors import UserError
from specjax.engine import loop, sharding
from specjax.engine.config import TrainConfig, parse_interval
from specjax.engine.digests import digests
from specjax.engine.live import changes
from specjax.engine.live.changes import Change, find_value
from specjax.engine.live.value import LiveValue, label_mask_parser, number_parser
from specjax.engine.live.values import BLOCK, LiveValues, all_live_values
from specjax.engine.workdir import StopRequest
from stops import StopAt

CONFIG = TrainConfig(steps=60, batch_size=8, log_every=1, checkpoint_every=10)


def train(workdir, stop=None, config=CONFIG):
    workdir.mkdir(exist_ok=True)
    return loop.train(ToyTask(), config, workdir, {}, stop or StopAt(config.steps))


@pytest.fixture(scope="module")
def four_steps(tmp_path_factory):
    """Digests of the state after four steps without changes."""
    return digests(train(tmp_path_factory.mktemp("runs") / "four", StopAt(4)).state)


def test_latest_change_is_in_force():
    history = [Change(5, {"a": "1", "b": "7"}, "x"), Change(20, {"a": "2"}, "y"), Change(8, {"a": "3"}, "z")]
    in_force = {step: find_value(history, "a", step) for step in (0, 4, 5, 7, 8, 19, 20, 99)}
    assert in_force == {0: None, 4: None, 5: "1", 7: "1", 8: "3", 19: "3", 20: "2", 99: "2"}
    assert find_value(history, "b", 50) == "7"
    assert find_value([*history, Change(30, {"a": "config"}, "w")], "a", 31) is None


def test_values_follow_schedule_until_changed():
    live_values = {
        "lr": LiveValue(optax.linear_schedule(1.0, 0.0, 100), number_parser(0.0), scales=True),
        "loss": LiveValue(optax.constant_schedule(0.25), number_parser(0.0)),
        "mask": LiveValue(lambda step: jax.numpy.ones(3), label_mask_parser(3)),
        "dormant": LiveValue(optax.constant_schedule(0.0), number_parser(0.0), dormant=True),
    }
    values = LiveValues(live_values, sharding.make_mesh())
    plain = values(0, 4)
    assert set(plain) == {"lr", "loss", "mask"}
    np.testing.assert_allclose(plain["lr"], 1 - np.arange(4) / 100, rtol=1e-6)
    history = [
        Change(2, {"lr": "0.5", "loss": "3", "mask": "0,2"}, "x"),
        Change(3, {"dormant": "0", "loss": "config"}, "y"),
    ]
    changed = values(0, 4, history)
    assert set(changed) == set(live_values), "a dormant value is present once a change names it, even if it stays 0"
    np.testing.assert_allclose(changed["lr"], [1, 0.99, 0.49, 0.485], rtol=1e-6)
    np.testing.assert_array_equal(changed["loss"], [0.25, 0.25, 3, 0.25])
    np.testing.assert_array_equal(changed["mask"], [[1, 1, 1], [1, 1, 1], [1, 0, 1], [1, 0, 1]])
    assert set(values(0, 3, history)) == {"lr", "loss", "mask"}
    # Values do not depend on the order and size of blocks, and a dispatch may be longer than a block.
    for step, count in ((0, 3), (1000, 3), (1022, 3), (1023, 3), (5000, 3), (3, 3), (0, BLOCK + 1), (1, 2 * BLOCK)):
        expected = np.maximum(1 - np.arange(step, step + count) / 100, 0)
        np.testing.assert_allclose(values(step, count)["lr"], expected, atol=1e-6)


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1e999", "1e39", "0.5,1"])
def test_number_parser_rejects_bad_numbers(text):
    with pytest.raises(ValueError, match="is not a finite number of at least 0"):
        number_parser(0.0)(text)


def test_number_that_float32_rounds_to_the_limit_is_rejected():
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        number_parser(0.0, below=1.0)("0.99999999")


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1" * 10, "9" * 400])
def test_interval_parser_rejects_bad_intervals(text):
    with pytest.raises(ValueError, match="expected an integer from 0 to 999999999"):
        parse_interval(text)


@pytest.mark.parametrize("text", ["", "3", "-1", "0,", "a", "0;1", "0,99", "²"])
def test_label_mask_parser_rejects_unknown_labels(text):
    with pytest.raises(ValueError, match="is not a list of labels from 0 to 2"):
        label_mask_parser(3)(text)


@pytest.mark.parametrize("per_dispatch", [1, 4])
def test_run_changed_while_training_equals_run_with_changes_known_from_start(tmp_path, per_dispatch):
    """Compare a run with three changes and two stops to a run that knows the changes before its first step."""
    import dataclasses

    config = dataclasses.replace(CONFIG, steps_per_dispatch=per_dispatch)
    live = tmp_path / "live"
    train(live, StopAt(12), config)
    changes.post(live, {"rate": "0.5"}, None)
    train(live, StopAt(32), config)
    changes.post(live, {"decay": "0.01", "sample_every": "20"}, None)
    changes.post(live, {"rate": "2"}, 41)
    end = train(live, config=config)
    history = changes.read_history(live)
    assert [(change.step, change.values) for change in history] == [
        (12, {"rate": "0.5"}),
        (32, {"decay": "0.01", "sample_every": "20"}),
        (41, {"rate": "2"}),
    ]
    assert not list(changes.requests_path(live).iterdir()), "accepted requests are removed"

    known = tmp_path / "known"
    known.mkdir()
    for change in history:
        changes.post(known, change.values, change.step)
    assert digests(train(known, config=config).state) == digests(end.state)
    assert digests(train(tmp_path / "unchanged", config=config).state) != digests(end.state)

    copied = tmp_path / "copied"
    copied.mkdir()
    changes.history_path(copied).write_bytes(changes.history_path(live).read_bytes())
    assert digests(train(copied, config=config).state) == digests(end.state)

    losses = [json.loads(line).get("train/loss") for line in (live / "metrics.jsonl").read_text().splitlines()]
    expected = [json.loads(line).get("train/loss") for line in (known / "metrics.jsonl").read_text().splitlines()]
    assert [x for x in losses if x is not None] == [x for x in expected if x is not None]
    assert {path.name for path in (live / "samples").iterdir()} >= {"0000040", "0000060"}


def test_change_is_on_disk_before_it_is_used(tmp_path, monkeypatch):
    """The history is flushed to disk before a dispatch uses the change."""
    order = []
    append = changes._append_and_sync
    monkeypatch.setattr(changes, "_append_and_sync", lambda *a: (append(*a), order.append("durable"))[0])
    call = LiveValues.__call__
    monkeypatch.setattr(
        LiveValues,
        "__call__",
        lambda self, step, n, history=(): (order.append(len(history)), call(self, step, n, history))[1],
    )
    workdir = tmp_path / "run"
    workdir.mkdir()
    changes.post(workdir, {"rate": "0.5"}, None)
    order.clear()
    train(workdir, StopAt(2))
    assert order == ["durable", 1, 1]


def test_request_accepted_but_not_removed_counts_once(tmp_path):
    """This happens when a run is killed between writing the history and removing the request."""
    workdir = tmp_path / "run"
    workdir.mkdir()
    path = changes.post(workdir, {"rate": "0.5"}, None)
    text = path.read_text()
    train(workdir, StopAt(5))
    path.write_text(text)
    train(workdir, StopAt(9))
    assert [change.step for change in changes.read_history(workdir)] == [0]
    assert not path.exists()


def test_incomplete_last_line_of_history_is_dropped(tmp_path):
    workdir = tmp_path / "run"
    workdir.mkdir()
    changes.post(workdir, {"rate": "0.5"}, None)
    train(workdir, StopAt(5))
    with open(changes.history_path(workdir), "a") as file:
        file.write('{"step": 3, "values": {"ra')
    assert len(changes.read_history(workdir)) == 1
    train(workdir, StopAt(8))
    assert changes.history_path(workdir).read_text().count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        "junk",
        "[]",
        "{}",
        '{"step": -1, "values": {}, "request": "x"}',
        '{"step": 1, "values": {"rate": 1}, "request": "x"}',
        "\udcff",
        "[" * 100_000,
        '{"step": 1' + "0" * 400 + ', "values": {}, "request": "x"}',
    ],
)
def test_error_for_malformed_history_names_line(tmp_path, line):
    workdir = tmp_path / "run"
    workdir.mkdir()
    good = json.dumps(Change(1, {"rate": "1"}, "x")._asdict())
    changes.history_path(workdir).write_text(f"{good}\n{line}\n", errors="surrogateescape")
    with pytest.raises(UserError, match=r"knobs\.jsonl:2 is not a change"):
        train(workdir)


@pytest.mark.parametrize(
    "request_text",
    [
        "junk",
        "[]",
        '{"values": {"rate": "1"}}',
        '{"at_step": null, "values": {"warp": "9"}}',
        '{"at_step": "x", "values": {"rate": "1"}}',
        '{"at_step": 2.5, "values": {"rate": "1"}}',
        '{"at_step": -1, "values": {"rate": "1"}}',
        '{"at_step": null, "values": {"rate": 1}}',
        '{"at_step": null, "values": ["rate"]}',
        '{"at_step": null, "values": {"rate": "1"}, "more": 1}',
        "[" * 100_000,
        "\udcff",
        '{"at_step": 1' + "0" * 400 + ', "values": {"rate": "1"}}',
        None,
    ],
)
def test_malformed_request_is_ignored(tmp_path, four_steps, request_text):
    """It is renamed, also if it is a pipe. A change that could not be read from the history again is never accepted."""
    workdir = tmp_path / "run"
    folder = changes.requests_path(workdir)
    folder.mkdir(parents=True)
    if request_text is None:
        os.mkfifo(folder / "1.json")
    else:
        (folder / "1.json").write_text(request_text, errors="surrogateescape")
    assert digests(train(workdir, StopAt(4)).state) == four_steps
    assert changes.read_history(workdir) == []
    assert [path.name for path in folder.iterdir()] == ["1.invalid"]


def test_error_for_history_of_another_run_names_line(tmp_path):
    workdir = tmp_path / "run"
    workdir.mkdir()
    changes.history_path(workdir).write_text(json.dumps(Change(1, {"warp": "9"}, "x")._asdict()) + "\n")
    with pytest.raises(UserError, match=r"knobs\.jsonl:1: 'warp' is not a live value of this run"):
        train(workdir)


def test_check_rejects_unknown_names_and_bad_values():
    live_values = all_live_values(ToyTask(), CONFIG)
    changes.check({"rate": "1", "decay": "config", "eval_every": "0"}, live_values)
    with pytest.raises(UserError, match="'warp' is not a live value of this run: choose from rate, decay, eval_every"):
        changes.check({"warp": "9"}, live_values)
    with pytest.raises(UserError, match="rate: 'fast' is not a finite number"):
        changes.check({"rate": "fast"}, live_values)
    with pytest.raises(UserError, match="sample_every: '-1' is not a number of steps"):
        changes.check({"sample_every": "-1"}, live_values)


def test_request_pending_at_stop_is_accepted_by_next_run(tmp_path):
    """A request that is pending when a run is asked to stop is kept for the next run."""
    workdir = tmp_path / "run"
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    try:
        stop = StopRequest()
        train(workdir, StopAt(3))
        changes.post(workdir, {"rate": "0.5"}, None)
        signal.raise_signal(signal.SIGTERM)
        train(workdir, stop)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert len(changes.list_pending_requests(workdir)) == 1
    train(workdir, StopAt(6))
    assert [change.step for change in changes.read_history(workdir)] == [3]
