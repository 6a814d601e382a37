"""Measures of generated music: level, spread, thirds, and the alarm of silence."""

import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.melody import metrics


def power(seed, *shape):
    return np.random.default_rng(seed).exponential(size=shape).astype(np.float32)


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


def test_a_silent_generator_raises_an_alarm():
    assert metrics.alarms({"level_db": -1.0}) == ()
    (line,) = metrics.alarms({"level_db": -25.0})
    assert "nearly silent" in line
