"""What the tests of the loop share."""

import jax
import pytest


@pytest.fixture(scope="package", autouse=True)
def compiled_once(tmp_path_factory):
    """Runs that begin anew in every test are the same program: it is compiled for the first of them."""
    before = jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs
    _use(str(tmp_path_factory.mktemp("programs")), 0.2)
    yield
    _use(*before)


def _use(folder, min_compile_s):
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", min_compile_s)
