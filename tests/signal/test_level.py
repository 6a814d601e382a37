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


def test_bad_references_are_refused():
    with pytest.raises(ValueError, match=r"reference=0.0 and least=1e-10 must be above 0"):
        power_to_db(jnp.ones(3), reference=0.0)
