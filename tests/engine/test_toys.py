"""What the engine promises to any task, on a GAN of two networks with a frozen encoder, and on an ensemble of four."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest

from engine.toy_ensemble import MODELS, ToyEnsemble
from engine.toy_gan import ENCODER_SHAPES, ToyGan, save_encoder
from specjax.cli import shipped
from specjax.cli.errors import UserError
from specjax.engine import bundle, loop, program, sharding
from specjax.engine.config import TrainConfig
from specjax.engine.digests import digests
from specjax.engine.live import changes
from specjax.engine.program import Run
from specjax.engine.resume import read_metadata, restore_run
from specjax.engine.train_state import networks
from stops import StopAt

CONFIG = TrainConfig(steps=20, batch_size=8, log_every=1, checkpoint_every=5, eval_every=10, max_skipped=3)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return str(save_encoder(tmp_path_factory.mktemp("bundles") / "encoder"))


@pytest.fixture(params=["gan", "ensemble"])
def task(request, encoder):
    return ToyGan(encoder) if request.param == "gan" else ToyEnsemble()


@pytest.fixture
def gan(encoder):
    return ToyGan(encoder)


def train(task, workdir, metadata=None, **changed):
    config = TrainConfig(**{**CONFIG.__dict__, **changed})
    return loop.train(task, config, workdir, metadata or {}, StopAt())


class Trained(NamedTuple):
    """A run that was never stopped, on all devices; several tests read it and none changes it."""

    workdir: Path
    run: Run


@pytest.fixture(scope="module")
def train_once(tmp_path_factory):
    """Function that trains a task with `CONFIG` when it is first called with it."""

    @cache
    def train_new(task):
        workdir = tmp_path_factory.mktemp("trained")
        return Trained(workdir, train(task, workdir))

    return train_new


def log(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def losses(workdir, task):
    names = [f"train/{name}" for name in task.headline]
    return np.array([[line[name] for name in names] for line in log(workdir) if names[0] in line])


def use_devices(monkeypatch, count, models):
    """Let the engine see only the first `count` devices."""
    devices = np.array(jax.devices()[:count])
    rows = np.gcd(models, count)
    mesh = jax.sharding.Mesh(devices.reshape(rows, -1), ("ensemble", "data"))
    monkeypatch.setattr(sharding, "make_mesh", lambda ensemble=1: mesh)


def test_training_lowers_the_loss_and_logs_every_metric(task, train_once):
    found = losses(train_once(task).workdir, task)
    assert len(found) == 20
    assert np.all(np.isfinite(found))
    assert np.mean(found[-1]) < np.mean(found[0])


@pytest.mark.parametrize("pause", [1, 13])
def test_resumed_run_ends_with_same_bits(task, train_once, tmp_path, pause):
    stop_at(task, tmp_path, pause)
    resumed = train(task, tmp_path)
    assert digests(resumed.state) == digests(train_once(task).run.state)


def stop_at(task, workdir, step):
    loop.train(task, CONFIG, workdir, {}, StopAt(step))


def test_a_killed_run_resumes_with_the_same_bits(gan, train_once, tmp_path):
    """SIGKILL, in a process of its own, as soon as the checkpoint of step 5 is there."""
    code = (
        "import conftest\n"
        "import pathlib, time\n"
        "from engine.test_toys import *\n"
        "from jax.sharding import PartitionSpec, PartitionSpec as P\n"
        "from specjax.engine.task import Shardings\n"
        "class Slow(StopAt):\n"
        "    def should_stop(self, step):\n"
        "        time.sleep(0.2)\n"
        "        return False\n"
        f"loop.train({gan!r}, CONFIG, pathlib.Path({str(tmp_path)!r}), {{}}, Slow())\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent.parent)])}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (tmp_path / "checkpoints" / "5").exists():
        assert process.poll() is None, process.stderr.read().decode()[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert digests(train(gan, tmp_path).state) == digests(train_once(gan).run.state)
    assert sorted({line["step"] for line in log(tmp_path)}) == list(range(1, 21))


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.long)])
def test_any_number_of_devices_gives_the_same_losses(task, train_once, tmp_path, devices, monkeypatch):
    """1 and 2 devices against all 4; the ensemble is spread over all of them."""
    workdirs = train_once(task).workdir, tmp_path
    use_devices(monkeypatch, devices, task.models)
    train(task, tmp_path)
    wide, narrow = (losses(workdir, task) for workdir in workdirs)
    np.testing.assert_allclose(narrow, wide, rtol=1e-5, atol=1e-6)
    wide, narrow = (
        [line for line in log(workdir) if any(key.startswith("eval/") for key in line)] for workdir in workdirs
    )
    assert len(wide) == len(narrow) == 2
    for a, b in zip(wide, narrow, strict=True):
        for key in a.keys() - {"time", "step"}:
            assert a[key] == pytest.approx(b[key], rel=1e-4, abs=1e-6), key


def test_a_run_saved_on_four_devices_resumes_on_one_with_the_same_losses(task, train_once, tmp_path, monkeypatch):
    """Restoring also verifies the digests of all arrays: a mismatch would end the run."""
    whole = losses(train_once(task).workdir, task)
    stop_at(task, tmp_path, 13)
    use_devices(monkeypatch, 1, task.models)
    train(task, tmp_path)
    np.testing.assert_allclose(losses(tmp_path, task), whole, rtol=1e-5, atol=1e-6)


def test_each_ensemble_model_is_on_its_own_device(tmp_path):
    task = ToyEnsemble()
    mesh = program.mesh_of(task)
    assert dict(mesh.shape) == {"ensemble": 4, "data": 1}
    run = program.init(task, CONFIG, mesh)
    shards = run.state.params["w"].addressable_shards
    assert sorted(shard.index[0].start or 0 for shard in shards) == [0, 1, 2, 3]
    assert all(shard.data.shape[0] == 1 for shard in shards)


@pytest.mark.parametrize("poisoned", ["generator", "critic"])
def test_a_poisoned_network_is_named_and_the_other_trains_on(encoder, tmp_path, poisoned):
    task = ToyGan(encoder, poisoned=poisoned, poison_after=7)
    with pytest.raises(UserError, match=rf"{poisoned}: first in the gradient of \['kernel'\]; the last on examples"):
        train(task, tmp_path / "poisoned", checkpoint_every=1)
    run = restore_run(task, tmp_path / "poisoned")[0]
    networks_ = networks(run.state)
    assert int(networks_[poisoned].skipped) > 0
    (other,) = networks_.keys() - {poisoned}
    assert int(networks_[other].skipped) == 0
    assert int(networks_[other].opt_state[0].count) == int(run.step)
    assert int(networks_[poisoned].opt_state[0].count) == 7
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(run.state))


def test_a_poisoned_model_of_an_ensemble_is_named_and_the_others_train_on(tmp_path):
    with pytest.raises(UserError, match=r"of model 2: first in the gradient of \['w'\]"):
        train(ToyEnsemble(poisoned=2, poison_after=4), tmp_path / "poisoned", checkpoint_every=1)
    poisoned = restore_run(ToyEnsemble(), tmp_path / "poisoned")[0]
    assert np.flatnonzero(poisoned.state.skipped).tolist() == [2]
    stop_at(ToyEnsemble(), tmp_path / "healthy", int(poisoned.step))
    healthy = restore_run(ToyEnsemble(), tmp_path / "healthy")[0]
    kept = np.array([0, 1, 3])
    np.testing.assert_allclose(poisoned.state.params["w"][kept], healthy.state.params["w"][kept], rtol=1e-6)


def test_live_values_take_effect_and_are_replayed(gan, train_once, tmp_path):
    line = json.dumps({"step": 10, "values": {"critic.lr": "0"}, "request": "test"})
    changes.history_path(tmp_path).write_text(line + "\n")
    train(gan, tmp_path)
    plain, changed = (losses(workdir, gan) for workdir in (train_once(gan).workdir, tmp_path))
    np.testing.assert_array_equal(plain[:11], changed[:11])
    assert np.abs(plain[12:] - changed[12:]).max() > 1e-4


def test_a_moving_average_is_kept_only_where_it_was_asked_for(gan):
    state = jax.eval_shape(gan.init, jax.random.key(0))
    assert state.generator.ema_params is not None
    assert state.critic.ema_params is None


def test_a_frozen_input_is_not_trained_and_not_in_checkpoints(gan, tmp_path):
    before = gan.frozen()["encoder"]["kernel"].copy()
    train(gan, tmp_path)
    np.testing.assert_array_equal(gan.frozen()["encoder"]["kernel"], before)
    (record,) = (tmp_path / "checkpoints" / "20" / "record").glob("metadata")
    saved = json.loads(record.read_text())
    assert not [path for path in saved["shapes"] if "encoder" in path]
    assert list(saved["metadata"]["frozen"]) == ["['encoder']['kernel']"]


def test_error_for_another_frozen_input(gan, tmp_path):
    train(gan, tmp_path / "run", steps=20)
    other = ToyGan(str(save_encoder(tmp_path / "other", seed=8)))
    with pytest.raises(UserError, match=r"frozen input \['encoder'\]\['kernel'\] is not the one this run began with"):
        train(other, tmp_path / "run")
    with pytest.raises(UserError, match="is not the one this run began with"):
        restore_run(other, tmp_path / "run")


def test_a_frozen_input_that_was_moved_is_no_change(gan, tmp_path):
    moved = ToyGan(str(shutil.copytree(gan.encoder, tmp_path / "moved")))
    for task, steps in ((gan, 10), (moved, 20)):
        train(task, tmp_path / "run", {"config": {"encoder": task.encoder}}, steps=steps)
    assert read_metadata(tmp_path / "run")["changes"] == []


def test_evaluation_sees_the_whole_held_out_set(gan, tmp_path):
    train(gan, tmp_path, eval_batch=4)
    figures = [line for line in log(tmp_path) if "eval/embedding_gap" in line]
    assert [line["eval/examples"] for line in figures] == [10.0, 10.0]
    assert figures[-1]["eval/embedding_gap"] >= 0


def test_vectors_among_the_metrics_are_logged_one_by_one(gan, train_once):
    line = log(train_once(gan).workdir)[0]
    entries = [line[f"train/feature_means/{i}"] for i in range(6)]
    assert line["train/feature_means"] == pytest.approx(np.mean(entries), rel=1e-5)


def test_an_exported_bundle_opens_again_with_what_it_depends_on(task, train_once, tmp_path):
    parts = task.parts(sharding.to_host(train_once(task).run.state), task.frozen())
    bundle.save(tmp_path / "bundle", task.name, parts, {})
    opened = bundle.load(tmp_path / "bundle")
    assert opened.task == task.name
    for name, part in parts.items():
        shapes = jax.eval_shape(lambda tensors=part.tensors: tensors)
        restored = bundle.unflatten(opened.parts[name], shapes, "bundle")
        jax.tree.map(np.testing.assert_array_equal, restored, part.tensors)
        assert opened.parts[name].card == part.card
    if task.models == 1:
        assert bundle.unflatten(opened.parts["encoder"], ENCODER_SHAPES, "bundle")["kernel"].shape == (6, 2)
    else:
        assert opened.parts["lines"].tensors["w"].shape[0] == MODELS


def test_bundles_that_come_with_the_package_are_opened_by_name(tmp_path, monkeypatch):
    def save(folder, value):
        bundle.save(folder, "toy/scalars", {"scalars": bundle.Part({"w": np.full(2, value, np.float32)}, {})}, {})

    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"comes with specjax \(none is installed\): name a bundle made by"):
        bundle.load(Path("first"))
    for value, name in enumerate(("first", "second")):
        save(tmp_path / "shipped" / name, value)
    assert shipped.names() == ["first", "second"]
    assert bundle.load(Path("second")).parts["scalars"].tensors["w"][0] == 1
    assert bundle.digest(Path("second")) == bundle.digest(tmp_path / "shipped" / "second")
    (tmp_path / "second").mkdir()
    assert bundle.load(Path("second")).parts["scalars"].tensors["w"][0] == 1, "that folder is not a bundle"
    (tmp_path / "second").rmdir()
    save(tmp_path / "second", 2)
    assert bundle.load(Path("second")).parts["scalars"].tensors["w"][0] == 2, "a bundle of that name comes first"
    for unknown in ("third", "../shipped", "shipped/first/card.json", str(tmp_path / "first")):
        with pytest.raises(
            UserError, match=rf"^{unknown} is neither a folder .* \(first, second\): name a bundle made"
        ):
            bundle.load(Path(unknown))


def test_bundle_that_cannot_be_written_leaves_no_files(tmp_path):
    part = bundle.Part({"w": np.zeros(2, np.float32)}, {"not JSON": object()})
    with pytest.raises(TypeError, match="not JSON serializable"):
        bundle.save(tmp_path / "bundle", "toy/scalars", {"scalars": part}, {})
    with pytest.raises(ValueError, match="part 'stage-1': expected a name of letters"):
        bundle.save(tmp_path / "bundle", "toy/scalars", {"stage-1": part}, {})
    assert list(tmp_path.iterdir()) == []


def test_scalars_keep_their_shape_in_a_bundle(tmp_path):
    tensors = {"scale": np.float32(2.5), "shift": np.zeros((), np.float32)}
    bundle.save(tmp_path / "bundle", "toy/scalars", {"scalars": bundle.Part(tensors, {})}, {})
    shapes = {name: jax.ShapeDtypeStruct((), np.float32) for name in tensors}
    assert bundle.unflatten(bundle.load(tmp_path / "bundle").parts["scalars"], shapes, "bundle") == tensors
