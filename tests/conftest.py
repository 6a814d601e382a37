"""Strict surroundings for every test: what would be a silent conversion in production is an error here.

Shapes and types in signatures are checked by beartype as the package is imported.
"""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import install_import_hook

DEVICES = 4
jax.config.update("jax_num_cpu_devices", DEVICES)
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

install_import_hook("specjax", "beartype.beartype")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of whole commands first: they take longest, and whoever ends last should end with something short."""
    items.sort(key=lambda item: "mains" not in item.path.parts)


@pytest.fixture
def key() -> jax.Array:
    return jax.random.key(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real sets named by SPECJAX_DATA: their licences and sizes keep them out of the project."""
    folder = os.environ.get("SPECJAX_DATA")
    if not folder:
        pytest.skip("SPECJAX_DATA does not name a folder of real data")
    return Path(folder)


@pytest.fixture
def mesh() -> Iterator[jax.sharding.Mesh]:
    """All devices along `data`, in force."""
    from specjax.engine.sharding import make_mesh

    devices = make_mesh()
    with jax.set_mesh(devices):
        yield devices


def exchanged(compiled: jax.stages.Compiled) -> set[str]:
    """How a program moves whole arrays between devices; sums over them, which training needs, are not counted."""
    text = compiled.as_text()
    return {name for name in ("all-gather", "all-to-all", "collective-permute") if f" {name}(" in text}


def modes(function):
    """The function plain, jitted, vmapped, and, for those that take batches, of a batch.

    Beside the example lies one that is unlike it, faint and the other way round: it must not matter.
    """

    def unlike(x):
        return jnp.flip(x) * jnp.asarray(1e-3, x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    def beside(apply):
        def second(*args):
            return jax.tree.map(lambda y: y[1], apply(*(jnp.stack([unlike(x), x]) for x in args)))

        return second

    return {"plain": function, "jit": jax.jit(function), "vmap": beside(jax.vmap(function)), "batch": beside(function)}
