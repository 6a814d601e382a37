"""Tests of pairwise distances and nearest neighbors against scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from specjax.measure.neighbors import BLOCK, map_squared_distances, squared_neighbor_radii

RNG = np.random.default_rng(0)
WIDTH = 40


@jax.jit
def pairwise(points, others):
    return map_squared_distances(lambda squared: squared, points, others)


def draw(count, offset=0.0):
    return jnp.asarray(RNG.standard_normal((count, WIDTH)) + offset, jnp.float32)


@pytest.mark.parametrize("count", [3, BLOCK, 2 * BLOCK + 7])
def test_distances_match_scipy_for_any_number_of_blocks(count):
    points, others = draw(count), draw(50)
    np.testing.assert_allclose(pairwise(points, others), cdist(points, others, "sqeuclidean"), rtol=2e-6)


def test_distances_far_from_the_origin_and_between_near_copies_are_accurate():
    points = draw(20, offset=1000.0)
    near = points + jnp.float32(1 / 256) * jnp.asarray(RNG.integers(-3, 4, points.shape), jnp.float32)
    np.testing.assert_allclose(pairwise(points, near), cdist(points, near, "sqeuclidean"), rtol=2e-6)
    assert not jnp.any(jnp.diag(pairwise(points, points)))


def test_reduction_receives_the_values_of_its_point():
    points, scale = draw(BLOCK + 2), jnp.arange(BLOCK + 2, dtype=jnp.float32)
    result = jax.jit(lambda *args: map_squared_distances(lambda squared, s: s * jnp.min(squared), *args))(
        points, points[:5], scale
    )
    np.testing.assert_allclose(result, scale * cdist(points, points[:5], "sqeuclidean").min(axis=1), rtol=2e-6)


@pytest.mark.parametrize("k", [1, 5])
def test_radii_match_a_search_tree(k):
    points = draw(100)
    distances = KDTree(points).query(points, k + 1)[0][:, k]
    np.testing.assert_allclose(jnp.sqrt(squared_neighbor_radii(points, k)), distances, rtol=2e-6)


def test_radius_of_a_point_that_occurs_k_plus_1_times_is_0():
    points = jnp.concatenate([jnp.tile(draw(1), (4, 1)), draw(10)])
    assert np.array_equal(squared_neighbor_radii(points, 3) == 0, np.arange(14) < 4)
    assert jnp.all(squared_neighbor_radii(points, 4) > 0)


def test_memory_holds_one_block_of_distances():
    count = 20_000
    points = jax.ShapeDtypeStruct((count, WIDTH), jnp.float32)
    memory = squared_neighbor_radii.lower(points, 5).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 4 * 4 * BLOCK * count
