"""Tests that runs and bundles of version 0.1 still open."""

import copy
import hashlib
import json
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from safetensors.numpy import save_file

from engine.toy import ToyTask
from specjax.cli.errors import UserError
from specjax.engine import bundle, legacy, loop, sharding, train_state
from specjax.engine.checkpoint import Checkpoints
from specjax.engine.config import TrainConfig
from specjax.engine.digests import digests, leaf_shapes, leaves_by_path
from specjax.engine.live import changes
from specjax.engine.live.changes import Change
from specjax.engine.program import Run
from specjax.engine.task import Part
from stops import StopAt

LEARNING_RATE = {"kind": "cosine", "value": 0.002}
CONFIG_0_1 = {
    "wing": "chord",
    "steps": 100,
    "loss": {"huber_delta": 0.5},
    "weights": {"huber": {"kind": "constant", "value": 1.0}},
    "optimiser": {"learning_rate": LEARNING_RATE, "clip": 1.0, "average_decay": 0.999},
}
CONFIG = {
    "task": "chord/unet",
    "steps": 100,
    "loss_options": {"huber_delta": 0.5},
    "loss": {"huber": {"kind": "constant", "value": 1.0}},
    "optimizer": {"learning_rate": LEARNING_RATE, "clip": 1.0, "ema_decay": 0.999},
}
TENSORS = {"head/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "head/bias": np.ones(3, np.float32)}
TRAIN_CONFIG = TrainConfig(steps=12, batch_size=8, log_every=1)


class State01(NamedTuple):
    """State of one network in version 0.1: `TrainState` under its old names, without `nonfinite_leaf`."""

    params: Any
    statistics: Any
    optimiser: Any
    average: Any
    skipped: Any
    skipped_in_a_row: Any


def train(workdir, stop_step):
    return loop.train(ToyTask(), TRAIN_CONFIG, workdir, {}, StopAt(stop_step))


def convert_to_0_1(state, average):
    return State01(state.params, state.batch_stats, state.opt_state, average, state.skipped, state.skipped_in_a_row)


def save_0_1(folder, step, state):
    """Write a checkpoint as version 0.1 did: its metadata was called `facts`."""
    record = {"step": step, "facts": {"note": "0.1"}, "shapes": leaf_shapes(state), "digests": digests(state)}
    record["seal"] = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    arrays = ocp.args.StandardSave(leaves_by_path(state))
    with ocp.CheckpointManager(folder.resolve()) as manager:
        manager.save(step, args=ocp.args.Composite(state=arrays, record=ocp.args.JsonSave(record)))


def restore(folder, state):
    """Restore the newest checkpoint into a tree like `state`."""
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state)
    checkpoints = Checkpoints(folder)
    try:
        return checkpoints.restore_newest(abstract)
    finally:
        checkpoints.close()


def make_run(*, ema):
    """Make a run of one network at step 7."""
    params = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, np.float32)}
    state = train_state.create(jax.tree.map(jnp.asarray, params), optax.adam(1.0), ema=ema)
    run = Run(jnp.int32(7), state._replace(skipped=jnp.int32(2)))
    return sharding.place(jax.tree.map(np.asarray, run), sharding.make_mesh())


def write_bundle_0_1(folder, **changes):
    """Write a bundle as version 0.1 did."""
    folder.mkdir()
    save_file(TENSORS, folder / "unet.safetensors")
    digest = hashlib.sha256((folder / "unet.safetensors").read_bytes()).hexdigest()
    card = {
        "format": "specjax-bundle/1",
        "wing": "chord",
        "about": {"step": 100},
        "parts": {"unet": {"sha256": digest, "card": CONFIG_0_1}},
    }
    (folder / "card.json").write_text(json.dumps(card | changes))
    return folder


def test_config_of_0_1_is_converted_to_current_names():
    config = copy.deepcopy(CONFIG_0_1)
    assert legacy.upgrade_config(config) == CONFIG
    assert config == CONFIG_0_1, "the argument is not changed"


def test_current_config_is_returned_unchanged():
    assert legacy.upgrade_config(CONFIG) == CONFIG


def test_config_of_another_task_keeps_its_name():
    assert legacy.upgrade_config({"wing": "melody/gan"}) == {"task": "melody/gan"}


def test_saved_leaves_are_found_by_their_current_paths():
    saved = {
        ".step": ".step",
        ".state.params['w']": ".state.params['w']",
        ".state.batch_stats['mean']": ".state.statistics['mean']",
        ".state.opt_state[0].count": ".state.optimiser[0].count",
        ".state.opt_state[0].mu['w']": ".state.optimiser[0].mu['w']",
        ".state.ema_params['w']": ".state.average['w']",
        ".state.skipped": ".state.skipped",
    }
    assert legacy.saved_names(saved.values(), saved.keys()) == saved
    assert legacy.saved_names(saved.keys(), saved.keys()) == {path: path for path in saved}, "current names stay"


def test_saved_moving_average_is_left_out_if_not_expected():
    saved = [".state.params['w']", ".state.average['w']"]
    assert legacy.saved_names(saved, [".state.params['w']"]) == {".state.params['w']": ".state.params['w']"}


def test_other_unexpected_leaves_are_not_left_out():
    assert legacy.saved_names([".state.optimiser[0].count"], []) == {
        ".state.opt_state[0].count": ".state.optimiser[0].count"
    }


def test_nonfinite_leaf_is_the_only_default_leaf():
    replicated = sharding.replicated_sharding(sharding.make_mesh())
    paths = (".state.params['w']", ".state.nonfinite_leaf", ".state.critic.nonfinite_leaf")
    expected = {path: jax.ShapeDtypeStruct((4,), jnp.int32, sharding=replicated) for path in paths}
    leaves = legacy.default_leaves(expected, {".state.critic.nonfinite_leaf"})
    assert list(leaves) == [".state.nonfinite_leaf"]
    np.testing.assert_array_equal(leaves[".state.nonfinite_leaf"], np.full(4, -1, np.int32))
    assert leaves[".state.nonfinite_leaf"].sharding == replicated


def test_dropped_leaves_have_saved_shapes_and_dtypes():
    saved = {".state.average['w']": "float32[3, 4]", ".state.average['n']": "int32[]", ".step": "int32[]"}
    dropped = legacy.dropped_leaves(saved, {".step"})
    shapes = {path: (x.shape, x.dtype.name) for path, x in dropped.items()}
    assert shapes == {".state.average['w']": ((3, 4), "float32"), ".state.average['n']": ((), "int32")}


@pytest.mark.parametrize("ema", [True, False])
def test_checkpoint_of_0_1_is_restored(tmp_path, ema):
    run = make_run(ema=ema)
    average = jax.tree.map(lambda x: x + 1, run.state.params)
    save_0_1(tmp_path / "checkpoints", 7, Run(run.step, convert_to_0_1(run.state, average)))
    step, restored, metadata = restore(tmp_path / "checkpoints", run)
    assert (step, metadata) == (7, {"note": "0.1"})
    expected = Run(run.step, run.state._replace(ema_params=average if ema else None))
    assert digests(restored) == digests(expected)
    assert int(restored.state.nonfinite_leaf) == -1


def test_checkpoint_of_0_1_of_another_architecture_is_an_error(tmp_path):
    run = make_run(ema=True)
    save_0_1(tmp_path / "checkpoints", 7, Run(run.step, convert_to_0_1(run.state, run.state.params)))
    with pytest.raises(UserError, match=r"another architecture.*\.state\.params\['w'\]: saved float32\[2, 3\]"):
        restore(tmp_path / "checkpoints", run._replace(state=run.state._replace(params={"w": run.state.params["b"]})))


def test_run_of_0_1_resumes_with_same_bits(tmp_path):
    whole = train(tmp_path / "whole", 12)
    half = train(tmp_path / "half", 5)
    old = Run(half.step, convert_to_0_1(half.state, half.state.ema_params))
    save_0_1(tmp_path / "old" / "checkpoints", 5, old)
    resumed = train(tmp_path / "old", 12)
    assert digests(resumed) == digests(whole)
    steps = [json.loads(line)["step"] for line in (tmp_path / "old" / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(6, 13)), "training continued at the saved step"


def test_change_of_0_1_has_current_names(tmp_path):
    changes.history_path(tmp_path).write_text(
        '{"step": 3, "values": {"average_decay": "0.9", "lr": "2"}, "request": "a"}\n'
    )
    assert changes.read_history(tmp_path) == [Change(3, {"ema_decay": "0.9", "lr": "2"}, "a")]


def test_optimizer_of_0_1_that_is_no_group_is_left_to_the_check_of_the_config():
    assert legacy.upgrade_config({"optimiser": 3}) == {"optimizer": 3}


def test_bundle_of_0_1_opens(tmp_path):
    opened = bundle.load(write_bundle_0_1(tmp_path / "bundle"))
    assert (opened.task, opened.about, list(opened.parts)) == ("chord/unet", {"step": 100}, ["unet"])
    assert opened.parts["unet"].card == CONFIG
    abstract = {
        "head": {"bias": jax.ShapeDtypeStruct((3,), np.float32), "kernel": jax.ShapeDtypeStruct((2, 3), np.float32)}
    }
    tensors = bundle.unflatten(opened.parts["unet"], abstract, "bundle")
    for path, tensor in bundle.flatten(tensors).items():
        np.testing.assert_array_equal(tensor, TENSORS[path])


def test_bundle_of_0_1_that_is_saved_again_has_the_current_format(tmp_path):
    opened = bundle.load(write_bundle_0_1(tmp_path / "old"))
    part = opened.parts["unet"]
    bundle.save(tmp_path / "new", opened.task, {"unet": Part(part.tensors, part.card)}, opened.about)
    card = json.loads((tmp_path / "new" / "card.json").read_text())
    assert (card["format"], card["task"], card["parts"]["unet"]["card"]) == (bundle.FORMAT, "chord/unet", CONFIG)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "specjax-bundle/0"}, "is of format 'specjax-bundle/0', expected 'specjax-bundle/2'"),
        ({"parts": []}, "is of format 'specjax-bundle/1', expected 'specjax-bundle/2'"),
        ({"about": "a text"}, "`about` is 'a text', expected a JSON object"),
        ({"parts": {}}, "lists no parts"),
        ({"parts": {"unet": None}}, "lists no parts"),
        ({"parts": {"unet": {"sha256": "0"}}}, "is damaged"),
    ],
)
def test_error_for_malformed_bundle_of_0_1(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        bundle.load(write_bundle_0_1(tmp_path / "bundle", **changes))


def test_card_of_another_format_is_returned_unchanged():
    for card in ({"format": "other/9", "task": "chord/unet", "parts": {}}, {"format": bundle.FORMAT, "parts": {}}):
        assert legacy.upgrade_card(card, bundle.FORMAT) is card
