"""Tests of checkpoints: a damaged checkpoint is never restored as a wrong array."""

import errno
import gc
import resource
import shutil
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from permissions import enforce_permissions
from specjax.cli.errors import UserError
from specjax.engine import checkpoint, sharding
from specjax.engine.checkpoint import BadCheckpoint, Checkpoints
from specjax.engine.digests import digests, leaf_digest

# Orbax does not close its event loop when a read fails. Python warns of that when it collects the loop.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _collect_garbage():
    """Collect what a failed read left behind, so that its warning is not attributed to another test."""
    yield
    for _ in range(3):
        gc.collect()


def tree(seed: int = 0):
    """Make a tree of random arrays on the devices."""
    rng = np.random.default_rng(seed)
    host = {
        "w": rng.standard_normal((40, 30)).astype(np.float32),
        "n": rng.integers(0, 9, 5).astype(np.int32),
        "h": rng.standard_normal(7).astype(jnp.bfloat16),
    }
    return sharding.place(host, sharding.make_mesh())


def abstract(state):
    """Describe the shapes, dtypes and shardings of a tree."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state)


@pytest.fixture
def saved(tmp_path):
    """Folder with finished checkpoints of steps 1 and 2."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for step in (1, 2):
        checkpoints.save(step, tree(step), {"note": step})
        checkpoints.wait()
    checkpoints.close()
    return tmp_path / "checkpoints"


def restore(folder, like=None):
    """Restore the newest checkpoint into a tree like `like`, by default like `tree()`."""
    checkpoints = Checkpoints(folder)
    try:
        return checkpoints.restore_newest(abstract(like or tree()))
    finally:
        checkpoints.close()


def test_newest_checkpoint_is_restored_with_its_metadata(saved):
    step, state, metadata = restore(saved)
    assert (step, metadata) == (2, {"note": 2})
    assert digests(state) == digests(tree(2))


def test_restore_without_checkpoints_returns_none(tmp_path):
    assert restore(tmp_path / "checkpoints") is None


@pytest.mark.parametrize("damage", ["flip", "truncate", "zero", "delete"])
def test_damage_to_any_file_never_restores_a_wrong_array(saved, tmp_path, damage):
    files = sorted(path.relative_to(saved) for path in (saved / "2").rglob("*") if path.is_file())
    assert len(files) > 5
    for i, name in enumerate(files):
        copy = tmp_path / f"{damage}{i}"
        shutil.copytree(saved, copy)
        _damage(copy / name, damage)
        step, state, _ = restore(copy)
        assert digests(state) == digests(tree(step)), name
        if step == 1:
            assert (copy.parent / f"{copy.name}_rejected" / "2").is_dir(), "the damaged checkpoint is kept"


def _damage(path, kind):
    """Flip a bit of a file, cut it to half its length, empty it, or delete it."""
    content = bytearray(path.read_bytes())
    if kind == "flip":
        index = int(RNG.integers(len(content))) if content else 0
        content = content or bytearray(b"\x01")
        content[index] ^= 1 << int(RNG.integers(8))
        path.write_bytes(content)
    elif kind == "truncate":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "zero":
        path.write_bytes(b"")
    else:
        path.unlink()


@pytest.mark.long
def test_many_bit_flips_in_array_files_never_restore_a_wrong_array(saved, tmp_path):
    """Orbax without digests restores wrong numbers for nearly all of these."""
    files = sorted(path for path in (saved / "2" / "state").rglob("*") if path.is_file() and path.stat().st_size)
    for i in range(60):
        copy = tmp_path / f"copy{i}"
        shutil.copytree(saved, copy)
        _damage(copy / files[i % len(files)].relative_to(saved), "flip")
        step, state, _ = restore(copy)
        assert digests(state) == digests(tree(step))
        shutil.rmtree(copy)


def test_background_save_error_is_raised_once_and_next_save_works(saved):
    """The write fails after `save` has returned. The next `check`, as the loop does between dispatches, raises it."""
    checkpoints = Checkpoints(saved)

    def check_until_error():
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            checkpoints.check()
            time.sleep(0.005)

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        checkpoints.save(3, tree(3), {})
        with pytest.raises(UserError, match="could not be written"):
            check_until_error()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    checkpoints.check()
    assert checkpoints.restore_newest(abstract(tree()))[0] == 2
    checkpoints.save(3, tree(4), {})
    checkpoints.wait()
    checkpoints.close()
    step, state, _ = restore(saved)
    assert step == 3
    assert digests(state) == digests(tree(4))


GOLDEN = Path(__file__).parent / "golden"


def golden_tree():
    """Make the tree that each release saved once."""
    host = {
        "params": {"w": np.arange(12, dtype=np.float32).reshape(3, 4) / 7, "b": np.array([1.5, -2.0], jnp.bfloat16)},
        "count": np.array(41, np.int32),
    }
    return sharding.place(host, sharding.make_mesh())


@pytest.mark.parametrize("release", sorted(path.name for path in GOLDEN.iterdir()))
def test_checkpoint_of_each_release_is_restored(tmp_path, release):
    folder = shutil.copytree(GOLDEN / release, tmp_path / release)
    step, state, metadata = restore(folder, golden_tree())
    assert (step, metadata) == (41, {"release": release})
    jax.tree.map(np.testing.assert_array_equal, state, golden_tree())


def test_damaged_checkpoint_does_not_block_later_saves(saved):
    shutil.rmtree(saved / "2" / "state" / "d")
    checkpoints = Checkpoints(saved)
    assert checkpoints.restore_newest(abstract(tree()))[0] == 1
    checkpoints.save(2, tree(7), {})
    checkpoints.wait()
    checkpoints.close()
    step, state, _ = restore(saved)
    assert step == 2
    assert digests(state) == digests(tree(7))


def test_error_if_all_checkpoints_are_damaged(saved):
    for step in "12":
        shutil.rmtree(saved / step / "state")
    for _ in range(2):  # a second attempt must not begin a new run
        with pytest.raises(UserError, match=r"none of the checkpoints \[1, 2\].*another --workdir"):
            restore(saved)


def test_empty_and_foreign_step_folders_are_skipped(saved):
    (saved / "3").mkdir()
    (saved / "4").mkdir()
    (saved / "4" / "notes.txt").write_text("not a checkpoint")
    assert restore(saved)[0] == 2


def test_error_for_another_architecture_names_each_leaf(saved):
    other = {**tree(), "w": jnp.zeros((40, 31))}
    with pytest.raises(
        UserError, match=r"another architecture.*\['w'\]: saved float32\[40, 30\], configured float32\[40, 31\]"
    ):
        restore(saved, other)


def test_leaves_are_restored_into_other_containers(saved):
    """This happens, for example, when an optimizer chain gets a stage without state."""
    wrapped = {"state": (tree(), optax.EmptyState())}
    checkpoints = Checkpoints(saved)
    checkpoints.save(3, wrapped, {})
    checkpoints.wait()
    checkpoints.close()
    step, state, _ = restore(saved, {"state": (tree(), optax.EmptyState(), ())})
    assert step == 3
    assert isinstance(state["state"][1], optax.EmptyState)
    assert digests(state) == digests(wrapped)
    with pytest.raises(UserError, match=r"another architecture.*6 leaves differ"):
        restore(saved, {"state": (optax.EmptyState(), tree())})


def test_reading_changes_nothing_on_disk(saved):
    shutil.rmtree(saved / "2" / "state" / "d")
    (saved / "3.orbax-checkpoint-tmp" / "state").mkdir(parents=True)  # another process is writing it
    before = sorted(saved.rglob("*"))
    checkpoints = Checkpoints(saved, read_only=True)
    assert checkpoints.restore_newest(abstract(tree()))[0] == 1
    checkpoints.close()
    assert sorted(saved.rglob("*")) == before


def test_reader_follows_a_run_that_removes_what_it_reads(saved):
    reader = Checkpoints(saved, read_only=True)
    assert reader.steps() == [1, 2]
    writer = Checkpoints(saved, keep=1)
    restore_step = reader.restore

    def restore_late(step, like):
        if step == 2:
            writer.save(3, tree(3), {})
            writer.close()
        return restore_step(step, like)

    reader.restore = restore_late
    step, state, _ = reader.restore_newest(abstract(tree()))
    reader.close()
    assert step == 3
    assert digests(state) == digests(tree(3))


def fail_with(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 15.3 MiB"),
        OSError(errno.EMFILE, "Too many open files"),
        ValueError("RESOURCE_EXHAUSTED: Failed to open: Too many open files"),
        RuntimeError("can't start new thread"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_checkpoint_is_not_given_up_for_lack_of_memory_or_files(saved, monkeypatch, error):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "digests", fail_with(error))
        with pytest.raises(UserError, match=r"checkpoint 2 in .* cannot be read .* run the same command again"):
            restore(saved)
    assert restore(saved)[0] == 2


@pytest.mark.parametrize("name", ["2/record/metadata", "2/state", "."])
def test_checkpoint_is_not_given_up_for_lack_of_permission(saved, name):
    mode = (saved / name).stat().st_mode
    (saved / name).chmod(0)
    try:
        with enforce_permissions(), pytest.raises(UserError, match=r"cannot be (read|opened) .*Permission denied"):
            restore(saved)
    finally:
        (saved / name).chmod(mode)
    assert restore(saved)[0] == 2


@pytest.mark.parametrize("name", ["lr[0.5]", "a\\b", "what?", "all*"])
def test_folder_that_would_lose_checkpoints_is_an_error(tmp_path, name):
    with pytest.raises(UserError, match=r"could not be restored, because of the . in its path: name another --workdir"):
        Checkpoints(tmp_path / name)


def test_first_checkpoint_is_read_back(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "restore", fail_with(BadCheckpoint("it has no manifest")))
        checkpoints.save(1, tree(1), {})
        with pytest.raises(
            UserError, match=r"checkpoint 1 in .* was saved but cannot be restored \(it has no manifest"
        ):
            checkpoints.save(2, tree(2), {})
    checkpoints.save(3, tree(3), {})
    checkpoints.wait()
    monkeypatch.setattr(checkpoints, "restore", fail_with(BadCheckpoint("later ones are not read back")))
    checkpoints.save(4, tree(4), {})
    checkpoints.wait()
    checkpoints.close()


def test_lack_of_memory_to_read_back_the_first_checkpoint_does_not_stop_a_run(tmp_path, monkeypatch, caplog):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(1, tree(1), {})
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "digests", fail_with(MemoryError("Unable to allocate 15.3 MiB")))
        checkpoints.wait()
    assert "checkpoint 1 was saved but not read back: " in caplog.text
    assert "MemoryError: Unable to allocate 15.3 MiB" in caplog.text
    monkeypatch.setattr(checkpoints, "restore", fail_with(BadCheckpoint("it has no manifest")))
    checkpoints.save(2, tree(2), {})
    with pytest.raises(UserError, match="checkpoint 2 in .* was saved but cannot be restored"):
        checkpoints.wait()
    checkpoints.close()


def test_only_newest_checkpoints_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c", keep=2)
    for step in range(1, 6):
        checkpoints.save(step, tree(step), {})
    checkpoints.wait()
    assert checkpoints.steps() == [4, 5]
    checkpoints.close()


def test_missing_step_raises_bad_checkpoint(saved):
    checkpoints = Checkpoints(saved)
    with pytest.raises(BadCheckpoint):
        checkpoints.restore(9, abstract(tree()))
    checkpoints.close()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "uint8", "bool"])
def test_any_changed_element_changes_digest(dtype):
    x = np.asarray(RNG.integers(0, 2, 300)).astype(dtype)
    original = leaf_digest(jnp.asarray(x))
    for index in RNG.integers(0, 300, 20):
        changed = x.copy()
        changed[index] = 1 - changed[index]
        assert np.any(np.asarray(leaf_digest(jnp.asarray(changed))) != np.asarray(original))


def test_digest_depends_on_order():
    x = jnp.arange(10, dtype=jnp.float32)
    assert np.any(np.asarray(leaf_digest(x)) != np.asarray(leaf_digest(x[::-1])))


def test_digest_is_equal_for_any_sharding():
    mesh = sharding.make_mesh()
    x = np.arange(64, dtype=np.float32)
    sharded = jax.device_put(x, sharding.batch_sharding(mesh))
    np.testing.assert_array_equal(jax.jit(leaf_digest)(sharded), leaf_digest(jnp.asarray(x)))
