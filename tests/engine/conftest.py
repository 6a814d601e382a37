"""Shared fixtures of the engine tests."""

import jax
import pytest


@pytest.fixture(scope="package", autouse=True)
def compilation_cache(tmp_path_factory):
    """Share a compilation cache between the tests, because they compile the same programs."""
    before = jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs
    _set_cache(str(tmp_path_factory.mktemp("programs")), 0.2)
    yield
    _set_cache(*before)


def _set_cache(folder, min_compile_s):
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", min_compile_s)
