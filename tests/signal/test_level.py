"""Decibels compared with librosa, their inverses, and silence."""

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
def test_levels_match_librosa(mode, reference, range_db):
    result = modes(lambda p: power_to_db(p, reference=reference, range_db=range_db))[mode](jnp.asarray(POWER))
    np.testing.assert_allclose(result, librosa.power_to_db(POWER, ref=reference, top_db=range_db), atol=1e-4)
    result = modes(lambda p: amplitude_to_db(p, reference=reference, range_db=range_db))[mode](jnp.asarray(POWER))
    expected = librosa.amplitude_to_db(POWER, ref=reference, top_db=range_db)
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_inverses_restore_levels_and_match_librosa():
    levels = jnp.linspace(-90.0, 40.0, 30)
    np.testing.assert_allclose(power_to_db(db_to_power(levels)), levels, atol=1e-4)
    np.testing.assert_allclose(
        amplitude_to_db(db_to_amplitude(levels, reference=3.0), reference=3.0), levels, atol=1e-4
    )
    np.testing.assert_allclose(db_to_power(levels), librosa.db_to_power(np.asarray(levels)), rtol=1e-5)
    np.testing.assert_allclose(db_to_amplitude(levels), librosa.db_to_amplitude(np.asarray(levels)), rtol=1e-5)


@pytest.mark.parametrize("function", [power_to_db, amplitude_to_db])
def test_silence_is_clipped_with_finite_gradient(function):
    value, gradient = jax.value_and_grad(lambda x: function(x, range_db=80.0).sum())(jnp.zeros(5))
    assert value == pytest.approx(5 * -100)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("mode", ["plain", "jit"])
def test_reference_may_be_a_function_or_an_array(mode):
    expected = librosa.power_to_db(POWER, ref=np.max, top_db=None)
    for reference in (jnp.max, jnp.asarray(POWER.max())):
        result = modes(lambda p, r=reference: power_to_db(p, reference=r))[mode](jnp.asarray(POWER))
        np.testing.assert_allclose(result, expected, atol=1e-4)


def test_range_db_is_relative_to_the_maximum_over_axis():
    batch = jnp.stack([jnp.asarray(POWER), 1e-6 * jnp.asarray(POWER)])
    result = power_to_db(batch, range_db=30.0, amin=1e-30, axis=(-2, -1))
    for example, levels in zip(batch, result, strict=True):
        np.testing.assert_allclose(levels, power_to_db(example, range_db=30.0, amin=1e-30), atol=1e-4)


def test_extreme_amplitudes_are_finite():
    result = np.asarray(amplitude_to_db(jnp.array([0.0, 1e-30, 1e30]), amin=1e-25))
    np.testing.assert_allclose(result, [-500, -500, 600], rtol=1e-5)


@pytest.mark.parametrize("options", [{"reference": 0.0}, {"amin": 0.0}, {"range_db": -1.0}])
def test_invalid_arguments_raise(options):
    with pytest.raises(ValueError, match=r"must be above 0, range_db=.* 0 or more"):
        power_to_db(jnp.ones(3), **options)
