"""Tests of the area under the ROC curve against scikit-learn and the definition."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from specjax.measure.auc import discriminator_auc, pairwise_auc

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("decimals", [8, 0], ids=["without ties", "with ties"])
def test_area_matches_scikit_learn(decimals):
    real, fake = np.round(RNG.normal(1, 1, 30), decimals), np.round(RNG.normal(0, 1, 50), decimals)
    labels = np.repeat([1, 0], [30, 50])
    expected = roc_auc_score(labels, np.concatenate([real, fake]))
    assert discriminator_auc(real, fake) == pytest.approx(expected)
    in_batch = pairwise_auc(jnp.asarray(real, jnp.float32), jnp.asarray(fake, jnp.float32))
    assert float(in_batch) == pytest.approx(expected, abs=1e-6)


def test_separated_scores_give_1_or_0_and_equal_scores_a_half():
    low, high = jnp.array([0.0, 1.0]), jnp.array([2.0, 3.0, 4.0])
    assert discriminator_auc(high, low) == 1
    assert discriminator_auc(low, high) == 0
    assert discriminator_auc(high, high) == 0.5
    assert discriminator_auc(jnp.zeros(3), jnp.zeros(2)) == 0.5


def test_increasing_functions_of_the_scores_do_not_change_the_area():
    real, fake = RNG.normal(1, 1, 20), RNG.normal(0, 1, 20)
    assert discriminator_auc(np.exp(real), np.exp(fake)) == discriminator_auc(real, fake)
    assert discriminator_auc(-real, -fake) == pytest.approx(1 - discriminator_auc(real, fake))


def test_missing_and_non_finite_scores_are_errors():
    with pytest.raises(ValueError, match="real_scores is empty"):
        discriminator_auc(np.zeros(0), np.zeros(2))
    with pytest.raises(ValueError, match="fake_scores has 1 non-finite values of 2"):
        discriminator_auc(np.zeros(2), np.array([0, np.nan]))
