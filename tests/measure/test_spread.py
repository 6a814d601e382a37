"""The spread of generated examples relative to that of real ones."""

import jax.numpy as jnp
import numpy as np
import pytest

from specjax.measure.spread import relative_spread


def test_spread_is_relative_to_that_of_real_examples():
    real = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4, 3)), jnp.float32)
    assert float(relative_spread(3.0 - 2.0 * real, real)) == pytest.approx(2.0, rel=1e-5)
    assert float(relative_spread(jnp.ones((5, 4, 3)), real)) == 0


def test_one_example_of_each_group_has_no_spread_within_groups():
    groups = jnp.eye(3)[jnp.array([0, 0, 1, 1, 1])]
    real = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4, 3)), jnp.float32)
    collapsed = real[jnp.array([0, 0, 2, 2, 2])]
    assert float(relative_spread(collapsed, real)) > 0.5
    assert float(relative_spread(collapsed, real, groups)) < 1e-6
    shifted = 2 * real + jnp.array([5.0, 5, -5, -5, -5]).reshape(5, 1, 1)
    assert float(relative_spread(shifted, real, groups)) == pytest.approx(2.0, rel=1e-5)
