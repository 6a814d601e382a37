"""The spread of generated examples relative to that of real ones."""

import jax.numpy as jnp
import numpy as np
import pytest

from specjax.measure.spread import relative_spread


def test_spread_is_relative_to_that_of_real_examples():
    real = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4, 3)), jnp.float32)
    assert float(relative_spread(3.0 - 2.0 * real, real)) == pytest.approx(2.0, rel=1e-5)
    assert float(relative_spread(jnp.ones((5, 4, 3)), real)) == 0
