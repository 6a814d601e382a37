"""Tests of the comparison of generated examples with their nearest training examples."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from specjax.measure.memorization import memorization_ratios

RNG = np.random.default_rng(0)
WIDTH, SOURCES, CLIPS = 8, 40, 3
CENTERS = RNG.standard_normal((SOURCES, WIDTH))
# Three clips of each source lie near each other.
TRAIN = (np.repeat(CENTERS, CLIPS, axis=0) + 0.05 * RNG.standard_normal((SOURCES * CLIPS, WIDTH))).astype(np.float32)
GROUP = np.repeat(np.arange(SOURCES), CLIPS)


def draw(count):
    return RNG.standard_normal((count, WIDTH)).astype(np.float32)


def test_ratios_match_all_pairwise_distances():
    fake = draw(10)
    within = np.where(GROUP[:, None] == GROUP, np.inf, cdist(TRAIN, TRAIN)).min(axis=1)
    expected = cdist(fake, TRAIN).min(axis=1) / np.median(within)
    np.testing.assert_allclose(memorization_ratios(fake, TRAIN, GROUP), expected, rtol=1e-5)


def test_copies_have_ratios_near_0_and_new_examples_around_1():
    copies = TRAIN[:10] + np.float32(1e-3) * draw(10)
    assert np.all(memorization_ratios(TRAIN[:10], TRAIN, GROUP) == 0)
    assert np.all(memorization_ratios(copies, TRAIN, GROUP) < 0.01)
    assert 0.8 < np.median(memorization_ratios(draw(100), TRAIN, GROUP)) < 1.3


def test_clips_of_one_source_do_not_count_as_typical_neighbors():
    each_its_own = memorization_ratios(TRAIN[:10] + np.float32(0.1), TRAIN, np.arange(len(TRAIN)))
    assert np.all(each_its_own > 5 * memorization_ratios(TRAIN[:10] + np.float32(0.1), TRAIN, GROUP))


def test_groups_may_have_names():
    fake, names = draw(10), np.array([f"song {group}" for group in GROUP])
    np.testing.assert_array_equal(memorization_ratios(fake, TRAIN, names), memorization_ratios(fake, TRAIN, GROUP))


def test_groups_without_a_typical_distance_are_errors():
    with pytest.raises(ValueError, match="all training examples are of one group"):
        memorization_ratios(TRAIN, TRAIN, np.zeros(len(TRAIN), int))
    with pytest.raises(ValueError, match="most training examples equal one of another group"):
        memorization_ratios(TRAIN, np.tile(TRAIN, (2, 1)), np.arange(2 * len(TRAIN)))
    with pytest.raises(ValueError, match="train_group has 5 labels, expected 120"):
        memorization_ratios(TRAIN, TRAIN, GROUP[:5])
