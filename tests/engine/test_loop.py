"""Tests of the training loop: resuming, devices, skipped updates, logs, memory."""

import dataclasses
import json
import os
import resource
import signal
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest

from engine.toy import ToyTask
from specjax.cli.errors import UserError
from specjax.data import order
from specjax.engine import loop, program, sharding
from specjax.engine.config import TrainConfig
from specjax.engine.digests import digests
from specjax.engine.live.values import LiveValues
from specjax.engine.resume import read_metadata, restore_run
from specjax.engine.workdir import StopRequest
from stops import StopAt

CONFIG = TrainConfig(steps=20, batch_size=8, log_every=1, checkpoint_every=5)


@pytest.fixture
def stop():
    """Stop request whose signal handlers are removed after the test."""
    previous = {
        number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
    }
    yield StopRequest()
    for number, handler in previous.items():
        signal.signal(number, handler)


class Trained(NamedTuple):
    """A run that was never stopped; several tests read it and none changes it."""

    workdir: Path
    run: program.Run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Run of a `ToyTask` with `CONFIG`."""
    workdir = tmp_path_factory.mktemp("whole")
    return Trained(workdir, train(workdir, StopAt()))


def train(workdir, stop, task=None, config=CONFIG, **changes):
    return loop.train(task or ToyTask(), dataclasses.replace(config, **changes), workdir, {}, stop)


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_loss_decreases_and_each_step_is_logged_once(whole):
    log = lines(whole.workdir)
    assert [line["step"] for line in log] == list(range(1, 21))
    assert log[-1]["train/loss"] < 0.7 * log[0]["train/loss"]
    assert {"train/grad_norm", "train/param_norm", "train/update_norm"} <= set(log[0])


@pytest.mark.parametrize("pause", [1, 5, 13])
def test_resumed_run_ends_with_same_bits(whole, tmp_path, stop, pause):
    train(tmp_path, stop, steps=pause)
    resumed = train(tmp_path, stop)
    assert digests(resumed.state) == digests(whole.run.state)
    assert [x["step"] for x in lines(tmp_path)] == list(range(1, 21))


def test_training_a_finished_run_changes_nothing(tmp_path, stop):
    first = train(tmp_path, stop)
    log = (tmp_path / "metrics.jsonl").read_text()
    again = train(tmp_path, stop)
    assert digests(again.state) == digests(first.state)
    assert (tmp_path / "metrics.jsonl").read_text() == log


@pytest.mark.parametrize("per_dispatch", [3, 20])
def test_many_steps_per_dispatch_compute_the_same_steps(whole, tmp_path, stop, per_dispatch):
    many = train(tmp_path, stop, steps_per_dispatch=per_dispatch)
    for a, b in zip(jax.tree.leaves(whole.run), jax.tree.leaves(many), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-5, atol=2e-6)
    assert [x["step"] for x in lines(tmp_path)] == list(range(1, 21))


def test_seed_determines_result(whole, tmp_path, stop):
    same, other = (digests(train(tmp_path / str(seed), stop, seed=seed).state) for seed in (0, 1))
    assert digests(whole.run.state) == same != other


@pytest.mark.parametrize("devices", [1, 2])
def test_result_is_equal_on_any_number_of_devices(whole, tmp_path, stop, devices, monkeypatch):
    """Compare training on 1 and 2 of the 4 devices to training on all 4."""
    chosen = jax.devices()[:devices]
    small = jax.sharding.Mesh(np.array(chosen).reshape(1, devices), ("ensemble", "data"))
    monkeypatch.setattr(sharding, "make_mesh", lambda ensemble=1: small)
    narrow = train(tmp_path, stop)
    for a, b in zip(jax.tree.leaves(narrow), jax.tree.leaves(whole.run), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-6)


def test_run_saved_on_four_devices_resumes_on_one(tmp_path, stop, monkeypatch):
    saved = train(tmp_path, stop, steps=10)
    one = jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("ensemble", "data"))
    monkeypatch.setattr(sharding, "make_mesh", lambda ensemble=1: one)
    restored = train(tmp_path, stop, steps=10)
    assert digests(restored.state) == digests(saved.state)


def test_every_held_out_example_is_evaluated_once(tmp_path, stop):
    """13 examples in batches of 4 over 4 devices: the last batch is padded, and its padding is not counted."""
    train(tmp_path, stop, eval_every=10, eval_batch=4)
    evaluations = [line for line in lines(tmp_path) if "eval/count" in line]
    assert [(line["step"], line["eval/count"]) for line in evaluations] == [(10, 13.0), (20, 13.0)]


def test_error_for_batch_that_does_not_divide_over_devices(tmp_path, stop):
    with pytest.raises(UserError, match="batch_size=6 does not divide over 4 devices"):
        train(tmp_path, stop, batch_size=6)


def test_error_for_fewer_examples_than_a_batch(tmp_path, stop):
    with pytest.raises(UserError, match="there are 37 training examples, fewer than batch_size=40: add examples"):
        train(tmp_path, stop, batch_size=40)


def test_non_finite_updates_are_skipped_and_stop_the_run(tmp_path, stop):
    healthy = train(tmp_path / "healthy", stop, steps=7)
    with pytest.raises(UserError, match="last 3 updates up to step 10") as error:
        train(tmp_path / "poisoned", stop, task=ToyTask(poison_after=7), max_skipped=3, checkpoint_every=1)
    key = order.stream(CONFIG.seed, "order")
    last = order.batch_indices(key, jax.numpy.int32(9), CONFIG.batch_size, 37)
    assert f"last on examples {', '.join(str(i) for i in last)})" in str(error.value)
    assert "first in the gradient of ['w']" in str(error.value)
    run = restore_run(ToyTask(), tmp_path / "poisoned")[0]
    for a, b in zip(jax.tree.leaves(run.state.params), jax.tree.leaves(healthy.state.params), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_signal_saves_and_stops(tmp_path, stop):
    os.kill(os.getpid(), signal.SIGTERM)
    assert int(train(tmp_path, stop).step) == 0
    assert stop.exit_status == 128 + signal.SIGTERM


def test_samples_are_written_to_files(tmp_path, stop):
    train(tmp_path, stop, sample_every=10)
    names = {path.relative_to(tmp_path / "samples").as_posix() for path in (tmp_path / "samples").rglob("*.*")}
    assert names == {f"{step:07d}/{name}" for step in (10, 20) for name in ("gray.png", "silence.wav")}


def test_update_never_recompiles_or_transfers(tmp_path, stop):
    """A dispatch is compiled ahead for its exact shapes: any other shape is an error, not a recompilation."""
    config = TrainConfig(steps=20, batch_size=8)
    mesh = sharding.make_mesh()
    task = ToyTask()
    data = task.load()
    inputs = program.place(data.train, task.frozen(), task, mesh)
    run = program.init(task, config, mesh)
    live_values = LiveValues(task.live_values(config.steps), mesh)
    values = [live_values(step, 1) for step in range(20)]
    update = program.compile_update(task, config, mesh, data.train_count, run, inputs, values[0])
    with jax.transfer_guard("disallow"):
        for value in values:
            old = run
            run, _ = update(run, inputs, value)
    assert int(run.step) == 20
    assert jax.tree.leaves(old)[0].is_deleted(), "the state's buffers are donated"


def test_memory_does_not_grow_over_two_hundred_steps(tmp_path):
    """This includes checkpoints, samples and evaluations."""
    held, peaks = [], []

    class Watching(StopRequest):
        def __init__(self):
            pass

        def should_stop(self, step):
            held.append(sum(x.nbytes for x in jax.live_arrays()))
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            return False

    train(tmp_path, Watching(), steps=260, checkpoint_every=20, eval_every=20, sample_every=20)
    assert max(held[60:]) <= max(held[:60])
    assert peaks[-1] - peaks[60] < 20 * 1024, "growth of the process (KiB) over the last two hundred steps"


@pytest.mark.parametrize("steps", [(3, 5), (18, 100)])
def test_profiler_writes_trace_and_changes_nothing(whole, tmp_path, stop, steps):
    traced = train(tmp_path, stop, profile=steps)
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))
    assert digests(traced.state) == digests(whole.run.state), "profiling does not change the result"


class NoLiveValues(ToyTask):
    """Toy whose learning rate cannot be changed."""

    def live_values(self, steps):
        return {}

    def step(self, state, batch, frozen, live, key):
        return super().step(state, batch, frozen, {"rate": jax.numpy.float32(0.05)}, key)


def test_task_needs_no_live_values(tmp_path, stop):
    one = train(tmp_path / "one", stop, task=NoLiveValues())
    four = train(tmp_path / "four", stop, task=NoLiveValues(), steps_per_dispatch=4)
    for a, b in zip(jax.tree.leaves(one.state.params), jax.tree.leaves(four.state.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


class NothingHeldOut(ToyTask):
    """Toy that trains on all examples."""

    def load(self):
        return super().load()._replace(held_out_count=0)


def test_run_without_held_out_examples_is_neither_evaluated_nor_sampled(whole, tmp_path, stop, caplog):
    run = train(tmp_path, stop, task=NothingHeldOut(), eval_every=5, sample_every=5)
    assert digests(run.state) == digests(whole.run.state)
    assert "no examples are held out" in caplog.text
    assert not [line for line in lines(tmp_path) if "eval/count" in line]
    assert not (tmp_path / "samples").exists()


def train_with(workdir, stop, values, *, task=None, allow_changes=False, **changes):
    """Train with a config that is recorded in the checkpoints."""
    config = dataclasses.replace(CONFIG, **changes)
    metadata = {"config": dataclasses.asdict(config) | values}
    return loop.train(task or ToyTask(), config, workdir, metadata, stop, allow_changes=allow_changes)


def test_finished_run_with_another_config_is_an_error(tmp_path, stop):
    train_with(tmp_path, stop, {"model": {"width": 3}})
    train_with(tmp_path, stop, {"model": {"width": 3}}, log_every=2)  # not a setting of the task
    for allowed in (False, True):
        with pytest.raises(UserError, match=r"finished with another config or data \(model\.width was 3 and is 4\)"):
            train_with(tmp_path, stop, {"model": {"width": 4}}, allow_changes=allowed)
    with pytest.raises(UserError, match="has made 20 updates, more than steps=10"):
        train_with(tmp_path, stop, {"model": {"width": 3}}, steps=10)


class OtherPoints(ToyTask):
    """Toy whose data have changed: one point of 37, or all by rounding."""

    def load(self):
        data = super().load()
        y = data.train.y.copy()
        y[5] += 1.0
        return data._replace(train=data.train._replace(y=y))


class RoundedPoints(ToyTask):
    def load(self):
        data = super().load()
        return data._replace(train=data.train._replace(y=data.train.y * np.float32(1 + 1e-6)))


@pytest.mark.parametrize(
    ("values", "changes", "message"),
    [
        ({"seed": 1}, {}, r"\(seed was 0 and is 1\)"),
        ({"batch_size": 16}, {}, r"\(batch_size was 8 and is 16\)"),
        ({"model": {"width": 4}, "rate": [0.1, 0.3]}, {}, r"\(model\.width was 3 and is 4, and 1 more\)"),
        ({"model": {"depth": 3}}, {}, r"\(model\.width was 3 and is not set\)"),
        ({"rate": [0.1, 0.2001]}, {}, r"\(rate was \[0\.1, 0\.2\] and is \[0\.1, 0\.2001\]\)"),
        ({"data": {"source": "b"}}, {"task": OtherPoints()}, r"\(data\.source was 'a' and is 'b', and 1 more\)"),
        ({}, {"task": OtherPoints()}, r"\(the examples train/y have changed\)"),
    ],
)
def test_run_resumed_with_another_meaning_needs_to_be_allowed_and_records_the_change(
    tmp_path, stop, caplog, values, changes, message
):
    began = {"model": {"width": 3}, "rate": [0.1, 0.2], "data": {"source": "a"}}
    train_with(tmp_path, stop, began, steps=10)
    with pytest.raises(
        UserError, match=rf"began with another config or data {message}: name another --workdir, or add"
    ):
        train_with(tmp_path, stop, began | values, **changes)
    assert "steps was 10 and is 20" in caplog.text
    train_with(tmp_path, stop, began | values, **changes, allow_changes=True)
    (change,) = read_metadata(tmp_path)["changes"]
    assert change["step"] == 10
    assert change["examples"] == (["train/y"] if changes else [])
    assert {key.split(".")[0] for key in change["config"]} == values.keys() | {"steps"}


def test_rounding_of_the_data_and_of_measured_settings_is_no_change(tmp_path, stop):
    train_with(tmp_path, stop, {"statistics": {"mean": [0.5, -3.25], "spread": 2.0}}, steps=10)
    train_with(tmp_path, stop, {"statistics": {"mean": [0.502, -3.251], "spread": 2.001}}, task=RoundedPoints())
    assert read_metadata(tmp_path)["changes"] == []


def test_data_that_were_moved_are_no_change(tmp_path, stop, caplog):
    train_with(tmp_path, stop, {"data": {"source": "a"}}, steps=10)
    train_with(tmp_path, stop, {"data": {"source": "b"}})
    assert "data.source was 'a' and is 'b'" in caplog.text
    assert read_metadata(tmp_path)["changes"] == []


def test_last_progress_line_is_printed(tmp_path, stop, capsys):
    train(tmp_path, stop)
    assert "step 20/20" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "train.steps=0"),
        ({"steps": -5}, "train.steps=-5"),
        ({"batch_size": 0}, "train.batch_size=0"),
        ({"seed": -1}, "train.seed=-1"),
        ({"steps": 2**31, "batch_size": 8}, "below 2\\^32"),
    ],
)
def test_config_out_of_range_raises(change, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**change)


def test_an_alarm_is_shown_when_it_appears_and_again_after_it_was_absent(tmp_path, stop, caplog):
    @dataclasses.dataclass(frozen=True)
    class Alarming(ToyTask):
        def alarms(self, metrics):
            assert np.isfinite(metrics["loss"])
            self.logged.append(1)
            return ("too hot",) if len(self.logged) in (2, 3, 6) else ()

    task = Alarming()
    object.__setattr__(task, "logged", [])
    train(tmp_path, stop, task, steps=7)
    warnings = [record.getMessage() for record in caplog.records if "too hot" in record.getMessage()]
    assert warnings == ["step 2: too hot", "step 6: too hot"]
