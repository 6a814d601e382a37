"""The training loop: order, resuming, devices, refused updates, logs."""

import json
import os
import resource
import signal

import jax
import numpy as np
import pytest

from engine.toy import ToyTask
from specjax.cli.errors import UserError
from specjax.data import order
from specjax.engine import loop
from specjax.engine import sharding as mesh
from specjax.engine.checkpoint import digests
from specjax.engine.config import TrainConfig
from specjax.engine.live.values import LiveValues
from specjax.engine.workdir import StopRequest

CONFIG = TrainConfig(steps=20, batch_size=8, log_every=1, checkpoint_every=5)


@pytest.fixture
def stop():
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    yield StopRequest()
    for number, handler in previous.items():
        signal.signal(number, handler)


def train(workdir, stop, task=None, config=CONFIG, **changes):
    import dataclasses

    return loop.train(task or ToyTask(), dataclasses.replace(config, **changes), workdir, {}, stop)


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_it_learns_and_logs_each_step_once(tmp_path, stop):
    train(tmp_path, stop)
    losses = [line["train/loss"] for line in lines(tmp_path)]
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 21))
    assert losses[-1] < 0.7 * losses[0]
    assert {"train/grad_norm", "train/param_norm", "train/update_norm"} <= set(lines(tmp_path)[0])


@pytest.mark.parametrize("pause", [1, 5, 13])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, stop, pause):
    whole = train(tmp_path / "whole", stop)
    train(tmp_path / "parts", stop, steps=pause)
    resumed = train(tmp_path / "parts", stop)
    assert digests(resumed.state) == digests(whole.state)
    assert [x["step"] for x in lines(tmp_path / "parts")] == list(range(1, 21))


def test_finished_runs_stay_as_they_are(tmp_path, stop):
    first = train(tmp_path, stop)
    log = (tmp_path / "metrics.jsonl").read_text()
    again = train(tmp_path, stop)
    assert digests(again.state) == digests(first.state)
    assert (tmp_path / "metrics.jsonl").read_text() == log


@pytest.mark.parametrize("per_dispatch", [3, 20])
def test_many_steps_a_dispatch_are_the_same_steps(tmp_path, stop, per_dispatch):
    one = train(tmp_path / "one", stop)
    many = train(tmp_path / "many", stop, steps_per_dispatch=per_dispatch)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-5, atol=2e-6)
    assert [x["step"] for x in lines(tmp_path / "many")] == list(range(1, 21))


def test_seeds_decide(tmp_path, stop):
    runs = [train(tmp_path / str(i), stop, seed=seed) for i, seed in enumerate((0, 0, 1))]
    one, same, other = (digests(run.state) for run in runs)
    assert one == same != other


@pytest.mark.parametrize("devices", [1, 2])
def test_devices_agree(tmp_path, stop, devices, monkeypatch):
    """The whole loop on 1 and 2 of the 4 devices against all 4."""
    wide = train(tmp_path / "wide", stop)
    chosen = jax.devices()[:devices]
    small = jax.sharding.Mesh(np.array(chosen).reshape(1, devices), ("ensemble", "data"))
    monkeypatch.setattr(mesh, "make_mesh", lambda ensemble=1: small)
    narrow = train(tmp_path / "narrow", stop)
    for a, b in zip(jax.tree.leaves(narrow), jax.tree.leaves(wide), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-6)


def test_saved_on_four_devices_resumed_on_one(tmp_path, stop, monkeypatch):
    saved = train(tmp_path, stop, steps=10)
    one = jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("ensemble", "data"))
    monkeypatch.setattr(mesh, "make_mesh", lambda ensemble=1: one)
    restored = train(tmp_path, stop, steps=10)
    assert digests(restored.state) == digests(saved.state)


def test_every_held_out_example_counts_once(tmp_path, stop):
    """13 examples in batches of 4 over 4 devices: the last batch is padded, and its padding is not counted."""
    train(tmp_path, stop, eval_every=10, eval_batch=4)
    evaluations = [line for line in lines(tmp_path) if "eval/count" in line]
    assert [(line["step"], line["eval/count"]) for line in evaluations] == [(10, 13.0), (20, 13.0)]


def test_a_batch_that_does_not_divide_is_refused_before_compiling(tmp_path, stop):
    with pytest.raises(UserError, match="batch_size=6 does not divide over 4 devices"):
        train(tmp_path, stop, batch_size=6)


def test_updates_that_are_not_finite_stop_the_run_and_spoil_nothing(tmp_path, stop):
    healthy = train(tmp_path / "healthy", stop, steps=7)
    with pytest.raises(UserError, match="last 3 updates up to step 10") as refused:
        train(tmp_path / "poisoned", stop, task=ToyTask(poison_after=7), max_skipped=3, checkpoint_every=1)
    key = order.stream(CONFIG.seed, "order")
    last = order.batch_indices(key, jax.numpy.int32(9), CONFIG.batch_size, 37)
    assert f"the last on examples {', '.join(str(i) for i in last)})" in str(refused.value)
    assert "first in the gradient of ['w']" in str(refused.value)
    run = train(tmp_path / "poisoned", stop, task=ToyTask(poison_after=7), steps=8)
    for a, b in zip(jax.tree.leaves(run.state.params), jax.tree.leaves(healthy.state.params), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_a_signal_saves_and_leaves(tmp_path, stop):
    os.kill(os.getpid(), signal.SIGTERM)
    assert int(train(tmp_path, stop).step) == 0
    assert stop.exit_status == 128 + signal.SIGTERM


def test_samples_are_files(tmp_path, stop):
    train(tmp_path, stop, sample_every=10)
    names = {path.relative_to(tmp_path / "samples").as_posix() for path in (tmp_path / "samples").rglob("*.*")}
    assert names == {f"{step:07d}/{name}" for step in (10, 20) for name in ("grey.png", "hush.wav")}


def test_compiles_once_and_never_waits_for_the_devices(tmp_path, stop):
    """A dispatch is compiled ahead for its exact shapes: any other shape would be an error, not a recompilation."""
    config = TrainConfig(steps=20, batch_size=8)
    device_mesh = mesh.make_mesh()
    task = ToyTask()
    examples = mesh.replicate(task.load()[0], device_mesh)
    run = jax.jit(lambda key: loop.Run(jax.numpy.zeros((), "int32"), task.init(key)))(jax.random.key(0))
    run = jax.device_put(run, mesh.replicated_sharding(device_mesh))
    knobs = LiveValues(task.live_values, device_mesh)
    values = [knobs(step, 1) for step in range(20)]
    dispatch = loop.compile_dispatch(task, config, device_mesh, run, examples, values[0])
    with jax.transfer_guard("disallow"):
        for value in values:
            old = run
            run, _ = dispatch(run, examples, value)
    assert int(run.step) == 20
    assert jax.tree.leaves(old)[0].is_deleted(), "the state's buffers are reused"


def test_memory_stays_flat_for_two_hundred_steps(tmp_path):
    """Saves, samples and measurements between them included."""
    held, peaks = [], []

    class Watching(StopRequest):
        def __init__(self):
            pass

        def reached(self, step):
            held.append(sum(x.nbytes for x in jax.live_arrays()))
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            return False

    train(tmp_path, Watching(), steps=260, checkpoint_every=20, eval_every=20, sample_every=20)
    assert max(held[60:]) <= max(held[:60])
    assert peaks[-1] - peaks[60] < 20 * 1024, "KiB of the process over the last two hundred steps"


def test_the_profiler_traces_the_steps_it_is_asked_for(tmp_path, stop):
    plain = train(tmp_path / "plain", stop)
    traced = train(tmp_path / "traced", stop, profile=(3, 5))
    assert list((tmp_path / "traced" / "profile").rglob("*.xplane.pb"))
    assert digests(traced.state) == digests(plain.state), "looking changes nothing"


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
def test_a_clock_that_cannot_run_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**change)
