"""Fourier transforms compared with NumPy; sharded inputs stay on their devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from scipy.fft import dct

from conftest import find_collectives, modes
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
def test_transforms_match_numpy(name, mode):
    function, reference, x = CASES[name]
    np.testing.assert_allclose(modes(function)[mode](jnp.asarray(x)), reference(x), atol=2e-5)
    np.testing.assert_allclose(function(jnp.asarray(x[0])), reference(x[0]), atol=2e-5)


@pytest.mark.parametrize("name", CASES)
def test_sharded_rows_are_transformed_without_transfers(name, mesh):
    function, reference, x = CASES[name]
    sharded = jax.device_put(x, NamedSharding(mesh, P("data")))
    compiled = jax.jit(function).lower(sharded).compile()
    assert not find_collectives(compiled)
    np.testing.assert_allclose(compiled(sharded), reference(x), atol=2e-5)


def test_cosine_transform_matches_scipy():
    np.testing.assert_allclose(REAL @ fourier.dct_matrix(12).T, dct(REAL, norm="ortho"), atol=1e-5)
