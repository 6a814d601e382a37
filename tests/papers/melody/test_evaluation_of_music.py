"""Comparison of generated clips with held-out ones: genres, repetitions, and figures of a held-out set."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.melody import evaluation


def test_every_genre_has_its_own_clips_and_keys():
    clips = np.arange(6, dtype=np.float32).reshape(2, 3)

    def measure(genre, keys, real):
        return {"genre": jnp.full(len(real), genre), "real": real, "drawn": jax.vmap(jax.random.uniform)(keys)}

    key = jax.random.key(0)
    measured = evaluation.map_genres(measure, clips, np.array([3, 1]), jnp.array([2, 0]), key)
    np.testing.assert_array_equal(measured["genre"], [[0, 1], [0, 1]])
    np.testing.assert_array_equal(measured["real"], [[2, 5], [0, 3]])
    np.testing.assert_array_equal(measured["valid"], [[True, False], [True, True]])
    assert len(np.unique(measured["drawn"])) == 4
    one = evaluation.map_genres(measure, clips, np.array([3, 1]), jnp.array([0]), key)
    np.testing.assert_array_equal(one["drawn"][0], measured["drawn"][1])  # the batch does not matter


def test_figures_count_repeated_held_out_clips_once():
    rng = np.random.default_rng(0)
    valid = np.array([[True, True], [True, False], [True, False]] * 4)
    shape = valid.shape
    measures = {"valid": valid}
    for kind in ("real", "fake"):
        measures |= {
            f"{kind}_level_db": np.zeros(shape, np.float32),
            f"{kind}_thirds_db": np.ones(shape, np.float32),
            f"{kind}_embedding": rng.normal(size=(*shape, 3)).astype(np.float32),
            f"{kind}_guess": np.broadcast_to([0, 1], shape),
        }
    measures["fake_guess"] = np.zeros(shape, int)
    measures["fake_noise"] = np.arange(np.prod(shape)).reshape(shape) < 4
    measures["fake_level_db"] = measures["fake_level_db"] - 3
    figures = evaluation.summarize(measures)
    assert figures["eval/clips"] == 16
    assert figures["eval/level_db"] == pytest.approx(-3)
    assert figures["eval/outer_thirds_db"] == 0
    assert figures["eval/judge_accuracy_real"] == 1
    assert figures["eval/judge_accuracy"] == 12 / 16
    assert figures["eval/judge_noise"] == np.mean(measures["fake_noise"][valid])
    assert 0 <= figures["eval/coverage"] <= 1
