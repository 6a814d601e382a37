"""Measures of generated music: AUC, level, spread, thirds, and alarms."""

import jax.numpy as jnp
import numpy as np
import pytest

from specjax.measure.auc import discriminator_auc
from specjax.papers.melody import metrics

HEALTHY = {"auc": 0.8, "spread": 0.9, "level_db": -1.0}


def power(seed, *shape):
    return np.random.default_rng(seed).exponential(size=shape).astype(np.float32)


def test_pairwise_auc_is_the_area_under_the_roc_curve():
    rng = np.random.default_rng(0)
    real, fake = (np.round(rng.normal(mean, size=30), 1).astype(np.float32) for mean in (0.5, 0.0))
    actual = metrics.pairwise_auc(jnp.asarray(real), jnp.asarray(fake))
    assert float(actual) == pytest.approx(discriminator_auc(real, fake), abs=1e-6)


def test_level_and_spread_of_the_real_clips_themselves():
    real = jnp.asarray(power(0, 6, 8, 12))
    assert metrics.level_and_spread(real, real) == pytest.approx({"level_db": 0.0, "spread": 1.0}, abs=1e-5)


def test_equal_clips_have_no_spread_and_quiet_ones_a_low_level():
    real = jnp.asarray(power(0, 6, 8, 12))
    same = jnp.broadcast_to(real[:1], real.shape)
    assert float(metrics.level_and_spread(same, real)["spread"]) < 1e-6
    assert float(metrics.level_and_spread(real / 100, real)["level_db"]) == pytest.approx(-20, abs=1e-3)


def test_silence_is_finite():
    real = jnp.asarray(power(0, 6, 8, 12))
    measured = metrics.level_and_spread(jnp.zeros_like(real), real)
    assert np.isfinite([float(x) for x in measured.values()]).all()
    assert np.all(np.isfinite(metrics.thirds_db(jnp.zeros_like(real))))
    assert np.all(np.isfinite(metrics.clip_level_db(jnp.zeros_like(real))))


def test_outer_thirds_ten_times_weaker_than_the_middle():
    clip = np.ones((1, 4, 30), np.float32)
    clip[..., :10] = clip[..., 20:] = 0.1
    assert float(metrics.thirds_db(jnp.asarray(clip))[0]) == pytest.approx(-10, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"auc": 0.995}, "discriminator has won"),
        ({"spread": 0.1}, "generator has collapsed"),
        ({"level_db": -25.0}, "nearly silent"),
    ],
)
def test_alarms(change, words):
    assert metrics.alarms(HEALTHY) == ()
    (line,) = metrics.alarms(HEALTHY | change)
    assert words in line
