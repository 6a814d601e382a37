"""Checkpoints under damage: what comes back is what was saved, or nothing."""

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

from specjax.cli.errors import UserError
from specjax.engine import sharding as mesh
from specjax.engine.checkpoint import BadCheckpoint, Checkpoints, digests, leaf_digest

# Orbax leaves an event loop behind when a read fails, which it then complains of.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _complaints_stay_here():
    """Collected later, what a failed read left behind would be blamed on another test."""
    yield
    for _ in range(3):
        gc.collect()


def tree(seed: int = 0):
    rng = np.random.default_rng(seed)
    host = {
        "w": rng.standard_normal((40, 30)).astype(np.float32),
        "n": rng.integers(0, 9, 5).astype(np.int32),
        "h": rng.standard_normal(7).astype(jnp.bfloat16),
    }
    return mesh.replicate(host, mesh.make_mesh())


def abstract(of):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), of)


@pytest.fixture
def saved(tmp_path):
    """A folder with steps 1 and 2, finished."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for step in (1, 2):
        checkpoints.save(step, tree(step), {"note": step})
        checkpoints.wait()
    checkpoints.close()
    return tmp_path / "checkpoints"


def restore(folder, of=None):
    checkpoints = Checkpoints(folder)
    try:
        return checkpoints.restore_newest(abstract(of or tree()))
    finally:
        checkpoints.close()


def test_the_newest_step_comes_back_whole(saved):
    step, state, facts = restore(saved)
    assert (step, facts) == (2, {"note": 2})
    assert digests(state) == digests(tree(2))


def test_nothing_saved_is_none(tmp_path):
    assert restore(tmp_path / "checkpoints") is None


@pytest.mark.parametrize("damage", ["flip", "truncate", "zero", "delete"])
def test_damage_to_any_file_is_never_restored_as_a_wrong_array(saved, tmp_path, damage):
    files = sorted(path.relative_to(saved) for path in (saved / "2").rglob("*") if path.is_file())
    assert len(files) > 5
    for i, name in enumerate(files):
        copy = tmp_path / f"{damage}{i}"
        shutil.copytree(saved, copy)
        _damage(copy / name, damage)
        step, state, _ = restore(copy)
        assert digests(state) == digests(tree(step)), name
        if step == 1:
            assert (copy.parent / f"{copy.name}_rejected" / "2").is_dir(), "the bad step is kept for a look"


def _damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "flip":
        place = int(RNG.integers(len(content))) if content else 0
        content = content or bytearray(b"\x01")
        content[place] ^= 1 << int(RNG.integers(8))
        path.write_bytes(content)
    elif how == "truncate":
        path.write_bytes(content[: len(content) // 2])
    elif how == "zero":
        path.write_bytes(b"")
    else:
        path.unlink()


@pytest.mark.long
def test_many_flips_of_the_array_files(saved, tmp_path):
    """Orbax alone gives back wrong numbers for nearly all of these."""
    files = sorted(path for path in (saved / "2" / "state").rglob("*") if path.is_file() and path.stat().st_size)
    for i in range(60):
        copy = tmp_path / f"copy{i}"
        shutil.copytree(saved, copy)
        _damage(copy / files[i % len(files)].relative_to(saved), "flip")
        step, state, _ = restore(copy)
        assert digests(state) == digests(tree(step))
        shutil.rmtree(copy)


def test_an_error_of_the_writer_is_seen_once_and_the_next_save_works(saved):
    """The write fails after `save` returned; the next look, as the loop takes between two dispatches, tells."""
    checkpoints = Checkpoints(saved)

    def look_until_told():
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            checkpoints.check()
            time.sleep(0.005)

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        checkpoints.save(3, tree(3), {})
        with pytest.raises(UserError, match="could not be written"):
            look_until_told()
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
    """What each release has saved once."""
    host = {
        "params": {"w": np.arange(12, dtype=np.float32).reshape(3, 4) / 7, "b": np.array([1.5, -2.0], jnp.bfloat16)},
        "count": np.array(41, np.int32),
    }
    return mesh.replicate(host, mesh.make_mesh())


@pytest.mark.parametrize("release", sorted(path.name for path in GOLDEN.iterdir()))
def test_what_a_release_saved_is_restored(tmp_path, release):
    folder = shutil.copytree(GOLDEN / release, tmp_path / release)
    step, state, facts = restore(folder, golden_tree())
    assert (step, facts) == (41, {"release": release})
    jax.tree.map(np.testing.assert_array_equal, state, golden_tree())


def test_a_bad_step_does_not_block_later_saves(saved):
    shutil.rmtree(saved / "2" / "state" / "d")
    checkpoints = Checkpoints(saved)
    assert checkpoints.restore_newest(abstract(tree()))[0] == 1
    checkpoints.save(2, tree(7), {})
    checkpoints.wait()
    checkpoints.close()
    step, state, _ = restore(saved)
    assert step == 2
    assert digests(state) == digests(tree(7))


def test_all_steps_bad_is_refused(saved):
    for step in "12":
        shutil.rmtree(saved / step / "state")
    with pytest.raises(UserError, match=r"none of the checkpoints \[1, 2\].*another --workdir"):
        restore(saved)


def test_empty_and_foreign_step_folders_are_passed_over(saved):
    (saved / "3").mkdir()
    (saved / "4").mkdir()
    (saved / "4" / "notes.txt").write_text("not a checkpoint")
    assert restore(saved)[0] == 2


def test_another_architecture_is_named_leaf_by_leaf(saved):
    other = {**tree(), "w": jnp.zeros((40, 31))}
    with pytest.raises(
        UserError, match=r"another architecture.*\['w'\]: saved float32\[40, 30\], configured float32\[40, 31\]"
    ):
        restore(saved, other)


def test_the_containers_of_a_tree_may_change(saved):
    """As where a chain of optimizers gets a stage without state."""
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


def test_reading_without_mending_changes_nothing(saved):
    shutil.rmtree(saved / "2" / "state" / "d")
    before = sorted(saved.rglob("*"))
    checkpoints = Checkpoints(saved)
    assert checkpoints.restore_newest(abstract(tree()), mend=False)[0] == 1
    checkpoints.close()
    assert sorted(saved.rglob("*")) == before


def test_only_the_newest_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c", keep=2)
    for step in range(1, 6):
        checkpoints.save(step, tree(step), {})
    checkpoints.wait()
    assert checkpoints.steps() == [4, 5]
    checkpoints.close()


def test_a_step_that_is_not_there_is_bad(saved):
    checkpoints = Checkpoints(saved)
    with pytest.raises(BadCheckpoint):
        checkpoints.restore(9, abstract(tree()))
    checkpoints.close()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "uint8", "bool"])
def test_any_changed_bit_changes_the_digest(dtype):
    x = np.asarray(RNG.integers(0, 2, 300)).astype(dtype)
    whole = leaf_digest(jnp.asarray(x))
    for place in RNG.integers(0, 300, 20):
        changed = x.copy()
        changed[place] = 1 - changed[place]
        assert np.any(np.asarray(leaf_digest(jnp.asarray(changed))) != np.asarray(whole))


def test_order_matters_to_the_digest():
    x = jnp.arange(10, dtype=jnp.float32)
    assert np.any(np.asarray(leaf_digest(x)) != np.asarray(leaf_digest(x[::-1])))


def test_the_digest_is_the_same_for_any_sharding():
    device_mesh = mesh.make_mesh()
    x = np.arange(64, dtype=np.float32)
    spread = jax.device_put(x, mesh.batch_sharding(device_mesh))
    np.testing.assert_array_equal(jax.jit(leaf_digest)(spread), leaf_digest(jnp.asarray(x)))
