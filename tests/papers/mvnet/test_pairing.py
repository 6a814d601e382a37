"""Pairs of clips and pictures: the paper's, random ones of the era, and matched ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import spearmanr

from specjax.papers.mvnet.dataset import Museum
from specjax.papers.mvnet.features import MusicFeatures, PictureFeatures
from specjax.papers.mvnet.pairing import choose, count_pairs, pair

CLIP_ERA = np.repeat(np.int32([0, 1]), [40, 30])
PICTURE_ERA = np.repeat(np.int32([0, 1]), [100, 50])
RNG = np.random.default_rng(0)
MUSIC = MusicFeatures(*RNG.permutation(70 * 2).astype(np.float32).reshape(2, 70))
LOOKS = PictureFeatures(*RNG.permutation(150 * 2).astype(np.float32).reshape(2, 150))


def make_pairs(pairing, pictures_per_clip=3):
    return pair(pairing, CLIP_ERA, PICTURE_ERA, MUSIC, LOOKS, pictures_per_clip)


@pytest.mark.parametrize("pairing", ["paper", "era", "matched"])
def test_every_clip_has_pictures_of_its_era_and_no_picture_is_neglected(pairing):
    pairs = make_pairs(pairing)
    assert np.array_equal(pairs[:, 0], np.repeat(np.arange(70), 3))
    assert np.array_equal(CLIP_ERA[pairs[:, 0]], PICTURE_ERA[pairs[:, 1]])
    uses = np.bincount(pairs[:, 1], minlength=150)
    assert set(uses[:100]) <= {1, 2}  # 120 pairs
    assert set(uses[100:]) <= {1, 2}  # 90 pairs


def test_pairs_of_the_paper_begin_again_at_the_first_picture():
    pairs = make_pairs("paper")
    for clip in (0, 7, 39):
        assert pairs[3 * clip : 3 * clip + 3, 1].tolist() == [clip, clip + 40, (clip + 80) % 100]
    assert pairs[3 * 69 :, 1].tolist() == [100 + 29, 100 + (29 + 30) % 50, 100 + (29 + 60) % 50]


def test_matched_pairs_follow_both_features_in_each_era_and_others_do_not():
    for era in (0, 1):
        for pairing, low, high in (("matched", 0.6, 1.0), ("paper", -0.3, 0.3)):
            pairs = make_pairs(pairing)
            pairs = pairs[CLIP_ERA[pairs[:, 0]] == era]
            for heard, seen in zip(MUSIC, LOOKS, strict=True):
                assert low <= spearmanr(heard[pairs[:, 0]], seen[pairs[:, 1]])[0] <= high


def test_fewer_pictures_than_pairs_and_equal_features_are_no_problem():
    music, looks = MusicFeatures(*np.zeros((2, 3), np.float32)), PictureFeatures(*np.zeros((2, 1), np.float32))
    pairs = pair("matched", np.zeros(3, np.int32), np.zeros(1, np.int32), music, looks, 2)
    assert pairs.tolist() == [[0, 0], [0, 0], [1, 0], [1, 0], [2, 0], [2, 0]]


@pytest.fixture(scope="module")
def museum():
    mel, pictures = np.zeros((70, 1, 1, 1), np.float32), np.zeros((150, 1, 1, 3), np.uint8)
    return Museum(mel, CLIP_ERA, CLIP_ERA, pictures, PICTURE_ERA, make_pairs("paper"))


def test_second_half_of_the_numbers_are_the_mirrored_pairs(museum):
    assert count_pairs(museum) == 420
    chosen = choose(museum, jnp.array([5, 215, 419]), jax.random.key(0), "paper")
    assert np.array_equal(jnp.stack([chosen.clip, chosen.picture], axis=1), museum.pairs[[5, 5, 209]])
    assert chosen.mirrored.tolist() == [False, True, True]


def test_pairing_era_draws_all_pictures_of_the_era_anew(museum):
    indices = jnp.concatenate([jnp.zeros(2000, int), jnp.full(2000, 209)])
    draw = jax.jit(choose, static_argnames="pairing")
    chosen = draw(museum, indices, jax.random.key(0), pairing="era")
    assert set(np.asarray(chosen.picture[:2000])) == set(range(100))
    assert set(np.asarray(chosen.picture[2000:])) == set(range(100, 150))
    assert set(np.asarray(chosen.clip)) == {0, 69}
    again = draw(museum, indices, jax.random.key(1), pairing="era")
    assert not np.array_equal(chosen.picture, again.picture)
