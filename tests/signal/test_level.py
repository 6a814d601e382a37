"""Decibels against librosa's; back again; silence."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from conftest import modes
from specjax.signal.level import amplitude_to_db, db_to_amplitude, db_to_power, power_to_db

POWER = (10.0 ** np.random.default_rng(0).uniform(-14, 4, (6, 7))).astype(np.float32)


@pytest.mark.parametrize("mode", ["plain", "jit", "vmap"])
@pytest.mark.parametrize("reference", [1.0, 20.0])
@pytest.mark.parametrize("range_db", [None, 80.0, 30.0])
def test_levels_are_librosas(mode, reference, range_db):
    result = modes(lambda p: power_to_db(p, reference=reference, range_db=range_db))[mode](jnp.asarray(POWER))
    np.testing.assert_allclose(result, librosa.power_to_db(POWER, ref=reference, top_db=range_db), atol=1e-4)
    result = modes(lambda p: amplitude_to_db(p, reference=reference, range_db=range_db))[mode](jnp.asarray(POWER))
    expected = librosa.amplitude_to_db(POWER, ref=reference, top_db=range_db)
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_back_and_forth():
    levels = jnp.linspace(-90.0, 40.0, 30)
    np.testing.assert_allclose(power_to_db(db_to_power(levels)), levels, atol=1e-4)
    np.testing.assert_allclose(
        amplitude_to_db(db_to_amplitude(levels, reference=3.0), reference=3.0), levels, atol=1e-4
    )
    np.testing.assert_allclose(db_to_power(levels), librosa.db_to_power(np.asarray(levels)), rtol=1e-5)
    np.testing.assert_allclose(db_to_amplitude(levels), librosa.db_to_amplitude(np.asarray(levels)), rtol=1e-5)


@pytest.mark.parametrize("function", [power_to_db, amplitude_to_db])
def test_silence_is_at_the_floor(function):
    value, gradient = jax.value_and_grad(lambda x: function(x, range_db=80.0).sum())(jnp.zeros(5))
    assert value == pytest.approx(5 * -100)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("mode", ["plain", "jit"])
def test_the_reference_may_be_told_of_the_power(mode):
    expected = librosa.power_to_db(POWER, ref=np.max, top_db=None)
    for reference in (jnp.max, jnp.asarray(POWER.max())):
        found = modes(lambda p, r=reference: power_to_db(p, reference=r))[mode](jnp.asarray(POWER))
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_floor_lies_below_the_greatest_of_the_axes_named():
    both = jnp.stack([jnp.asarray(POWER), 1e-6 * jnp.asarray(POWER)])
    found = power_to_db(both, range_db=30.0, least=1e-30, axis=(-2, -1))
    for each, levels in zip(both, found, strict=True):
        np.testing.assert_allclose(levels, power_to_db(each, range_db=30.0, least=1e-30), atol=1e-4)


def test_the_faintest_and_the_loudest_are_finite():
    found = np.asarray(amplitude_to_db(jnp.array([0.0, 1e-30, 1e30]), least=1e-25))
    np.testing.assert_allclose(found, [-500, -500, 600], rtol=1e-5)


@pytest.mark.parametrize("words", [{"reference": 0.0}, {"least": 0.0}, {"range_db": -1.0}])
def test_bad_references_are_refused(words):
    with pytest.raises(ValueError, match=r"must be above 0, range_db=.* 0 or more"):
        power_to_db(jnp.ones(3), **words)
