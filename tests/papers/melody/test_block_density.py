"""Densities of blocks: their logarithms against scipy, and the moments of what is drawn from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from specjax.papers.melody.transformer.density import Density, draw, log_density

COMPONENTS, FIRST, REST = 3, 2, 3
COUNT = FIRST + REST


@pytest.fixture(scope="module")
def density():
    """Density with one batch axis of size 1."""
    rng = np.random.default_rng(0)

    def uniform(*shape):
        return jnp.asarray(rng.uniform(0.3, 1.5, (1, *shape)).astype(np.float32))

    return Density(
        log_weights=jnp.log(jnp.array([[0.5, 0.3, 0.2]])),
        means=4 * uniform(COMPONENTS, FIRST) - 3,
        deviations=uniform(COMPONENTS, FIRST),
        rest_means=uniform(REST),
        rest_deviations=uniform(REST),
        regression=jnp.asarray(rng.normal(0, 0.5, (COUNT, COUNT)).astype(np.float32)),
    )


@pytest.fixture(scope="module")
def components(density):
    """Weights, means and covariances of the same mixture of normal distributions, whose covariances are full."""
    mixing = np.linalg.inv(np.eye(COUNT) - np.tril(density.regression, -1))
    weights, means, covariances = np.exp(density.log_weights[0]), [], []
    for mean, deviation in zip(density.means[0], density.deviations[0], strict=True):
        means.append(mixing @ np.concatenate([mean, density.rest_means[0]]))
        variances = np.concatenate([deviation, density.rest_deviations[0]]) ** 2
        covariances.append(mixing @ np.diag(variances) @ mixing.T)
    return weights, np.array(means), np.array(covariances)


def test_log_density_is_that_of_a_mixture_with_full_covariances(density, components):
    blocks = np.random.default_rng(1).normal(0, 2, (6, COUNT)).astype(np.float32)
    expected = logsumexp(
        [np.log(w) + multivariate_normal(m, c).logpdf(blocks) for w, m, c in zip(*components, strict=True)], axis=0
    )
    np.testing.assert_allclose(log_density(density, jnp.asarray(blocks)), expected, rtol=1e-4)


def test_blocks_have_the_mean_and_the_covariance_of_their_density(density, components):
    count = 20_000
    keys = jax.random.split(jax.random.key(0), count)
    repeated = Density(*(jnp.repeat(x, count, axis=0) for x in density[:-1]), density.regression)
    blocks = np.asarray(jax.jit(draw)(keys, repeated))
    weights, means, covariances = components
    mean = weights @ means
    spread = (means - mean)[:, :, None] * (means - mean)[:, None, :]
    covariance = np.einsum("k,kij->ij", weights, covariances + spread)
    np.testing.assert_allclose(blocks.mean(axis=0), mean, atol=4 * np.sqrt(covariance.diagonal().max() / count))
    np.testing.assert_allclose(np.cov(blocks.T), covariance, atol=0.05 * covariance.diagonal().max())


def test_a_block_depends_on_its_own_key_only(density):
    keys = jax.random.split(jax.random.key(0), 3)[:, None]
    repeated = Density(*(jnp.repeat(x[None], 3, axis=0) for x in density[:-1]), density.regression)
    blocks = draw(keys, repeated)
    alone = draw(keys[1:2], Density(*(x[1:2] for x in repeated[:-1]), density.regression))
    np.testing.assert_allclose(alone[0], blocks[1], rtol=1e-5)
    assert np.abs(blocks[0] - blocks[1]).max() > 0.1
