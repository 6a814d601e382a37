"""Transforms against numpy's, and that every device does its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from conftest import exchanged, modes
from specjax.signal import fourier

RNG = np.random.default_rng(0)
REAL = RNG.standard_normal((8, 12)).astype(np.float32)
COMPLEX = (RNG.standard_normal((8, 12)) + 1j * RNG.standard_normal((8, 12))).astype(np.complex64)
CASES = {
    "rfft": (fourier.rfft, np.fft.rfft, REAL),
    "padded rfft": (lambda x: fourier.rfft(x, 16), lambda x: np.fft.rfft(x, 16), REAL),
    "irfft": (lambda x: fourier.irfft(x, 22), lambda x: np.fft.irfft(x, 22), COMPLEX),
    "fft": (fourier.fft, np.fft.fft, COMPLEX),
    "ifft": (fourier.ifft, np.fft.ifft, COMPLEX),
}


@pytest.mark.parametrize("mode", ["plain", "jit", "vmap"])
@pytest.mark.parametrize("name", CASES)
def test_they_are_numpys(name, mode):
    ours, theirs, x = CASES[name]
    np.testing.assert_allclose(modes(ours)[mode](jnp.asarray(x)), theirs(x), atol=2e-5)
    np.testing.assert_allclose(ours(jnp.asarray(x[0])), theirs(x[0]), atol=2e-5)


@pytest.mark.parametrize("name", CASES)
def test_rows_stay_where_they_lie(name, mesh):
    ours, theirs, x = CASES[name]
    spread = jax.device_put(x, NamedSharding(mesh, P("data")))
    compiled = jax.jit(ours).lower(spread).compile()
    assert not exchanged(compiled)
    np.testing.assert_allclose(compiled(spread), theirs(x), atol=2e-5)
