"""Strict JAX settings and shared fixtures for all tests.

Implicit dtype and rank promotion, which JAX performs silently by default, are errors here. Beartype checks the shapes
and types of all signatures in the package.
"""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import install_import_hook

# Most of the time of the tests is spent on compiling small programs, which these flags halve. With level 0 alone, the
# gradient of `jnp.max` may be NaN. Other releases may not know the flags, and an unknown flag would end the process.
if jax.__version__.startswith("0.10."):
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false")

DEVICES = 4
jax.config.update("jax_num_cpu_devices", DEVICES)
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

install_import_hook("specjax", "beartype.beartype")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of whole commands first: they take longest, and parallel workers should finish with short tests."""
    items.sort(key=lambda item: "commands" not in item.path.relative_to(item.config.rootpath).parts)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that all workers of this test run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _compilation_cache(shared_folder: Path) -> None:
    """Share compiled programs between tests and workers: trainings that are repeated or resumed compile the same."""
    jax.config.update("jax_compilation_cache_dir", str(shared_folder / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture(scope="module", autouse=True)
def _freeze_garbage_collection() -> None:
    """Let later garbage collections look at new objects only: those of jax's caches alone take a second each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def key() -> jax.Array:
    return jax.random.key(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data sets named by the environment variable SPECJAX_DATA; skip the test if it is not set.

    Licenses and sizes keep these data sets out of the repository.
    """
    folder = os.environ.get("SPECJAX_DATA")
    if not folder:
        pytest.skip("SPECJAX_DATA does not name a folder of real data")
    return Path(folder)


@pytest.fixture
def mesh() -> Iterator[jax.sharding.Mesh]:
    """Mesh of all devices along the axis `data`, set as the current mesh."""
    from specjax.engine.sharding import make_mesh

    devices = make_mesh()
    with jax.set_mesh(devices):
        yield devices


def find_collectives(compiled: jax.stages.Compiled) -> set[str]:
    """Names of the collectives by which a program moves whole arrays between devices.

    All-reduces, which training needs, are not included.
    """
    text = compiled.as_text()
    return {name for name in ("all-gather", "all-to-all", "collective-permute") if f" {name}(" in text}


def modes(function):
    """Return variants of a function, by name: plain, jitted, vmapped, and called with a batch (if it supports batches).

    The last two are jitted as well, because that compiles faster than one operation at a time. In them, the batch holds
    the example and a different one: reversed and scaled by 1e-3. The result is that of the example, which must not
    depend on its neighbor.
    """

    def distort(x):
        return jnp.flip(x) * jnp.asarray(1e-3, x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    def in_batch(apply):
        def apply_to_batch(*args):
            return jax.tree.map(lambda y: y[1], apply(*(jnp.stack([distort(x), x]) for x in args)))

        return jax.jit(apply_to_batch)

    return {
        "plain": function,
        "jit": jax.jit(function),
        "vmap": in_batch(jax.vmap(function)),
        "batch": in_batch(function),
    }
