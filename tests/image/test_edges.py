"""The Sobel filter matches scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from conftest import modes
from specjax.image.edges import sobel

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("mode", ["plain", "jit", "vmap"])
@pytest.mark.parametrize("shape", [(7, 9), (1, 5), (2, 2)])
def test_sobel_matches_scipy(shape, mode):
    image = RNG.standard_normal(shape)
    expected = [scipy.ndimage.sobel(image, axis, mode="reflect") for axis in (0, 1)]
    np.testing.assert_allclose(modes(sobel)[mode](jnp.asarray(image, jnp.float32)), expected, atol=1e-5)


def test_batched_images_are_filtered_independently():
    images = jnp.asarray(RNG.standard_normal((2, 3, 6, 5)), jnp.float32)
    slopes = sobel(images)
    assert slopes.shape == (2, 3, 2, 6, 5)
    np.testing.assert_allclose(slopes[1, 2], sobel(images[1, 2]), atol=1e-6)


def test_constant_gives_zero_and_unit_ramp_gives_eight():
    np.testing.assert_allclose(sobel(jnp.full((5, 6), 0.7)), 0.0, atol=1e-6)
    ramp = jnp.tile(jnp.arange(5.0)[:, None], (1, 6))
    np.testing.assert_allclose(sobel(ramp)[0, 1:-1], 8.0)
    np.testing.assert_allclose(sobel(ramp)[1], 0.0)
    np.testing.assert_allclose(sobel(ramp.T)[1, :, 1:-1], 8.0)


def test_gradient_is_the_adjoint():
    """The filter is linear: <S x, y> = <x, S' y>."""
    x, y = (jnp.asarray(RNG.standard_normal(s), jnp.float32) for s in ((6, 7), (2, 6, 7)))
    adjoint = jax.vjp(sobel, x)[1](y)[0]
    np.testing.assert_allclose(jnp.vdot(sobel(x), y), jnp.vdot(x, adjoint), rtol=1e-4)
