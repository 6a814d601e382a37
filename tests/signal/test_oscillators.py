"""Additive synthesis against a direct float64 sum of sines."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from conftest import modes
from specjax.signal import oscillators

RATE = 8000
FREQUENCIES = np.array([0.0, 27.5, 440.0, 1234.567, 3999.9])
RNG = np.random.default_rng(0)
PHASES = RNG.uniform(0, 2 * np.pi, len(FREQUENCIES))


def direct(amplitudes, samples, frequencies=FREQUENCIES, phases=PHASES, rate=RATE):
    """Sum of sines of the given levels, sample by sample."""
    time = np.arange(samples) / rate
    return np.sum(amplitudes * np.sin(2 * np.pi * frequencies[:, None] * time + phases[:, None]), axis=0)


def levels_at_samples(columns, samples):
    """Columns are levels at equal times: column k is centred on sample (k + 1/2) samples / columns.

    Those straight lines are read at the ends of frames of equal whole length, one frame a column, and joined by
    straight lines again.
    """
    count = columns.shape[1]
    width = -(-samples // count)
    ends = np.arange(count + 1) * width
    centres = (np.arange(count) + 0.5) * samples / count
    read = [np.interp(ends, centres, row) for row in columns]
    return np.stack([np.interp(np.arange(samples), ends, row) for row in read])


def synthesised(columns, samples, frequencies=FREQUENCIES, phases=PHASES, rate=RATE, mode="jit"):
    increment = jnp.asarray(oscillators.phase_increment(frequencies, rate))
    function = modes(partial(oscillators.additive_synthesis, samples=samples))[mode]
    return function(jnp.asarray(columns, jnp.float32), increment, jnp.asarray(phases, jnp.float32))


@pytest.mark.parametrize(
    ("columns", "samples", "mode"),
    [(7, 1000, "plain"), (7, 1000, "vmap")]
    + [(*shape, "jit") for shape in ((10, 1000), (7, 1000), (1, 100), (16, 16), (50, 400), (9, 5))],
)
def test_it_is_the_sum_of_its_sines(columns, samples, mode):
    amplitudes = RNG.random((len(FREQUENCIES), columns)).astype(np.float32)
    expected = direct(levels_at_samples(amplitudes, samples), samples)
    np.testing.assert_allclose(synthesised(amplitudes, samples, mode=mode), expected, atol=2e-5)


def test_levels_on_a_straight_line_are_followed_exactly():
    """Between the centres of the first and the last column."""
    samples, count = 1000, 10
    centres = (np.arange(count) + 0.5) * samples / count
    rise = np.tile(0.2 + 0.7 * centres / samples, (len(FREQUENCIES), 1))
    line = 0.2 + 0.7 * np.arange(samples) / samples
    inside = slice(100, 900)  # the outer frames lean on the outermost centres
    wave = synthesised(rise, samples)
    np.testing.assert_allclose(wave[inside], direct(line, samples)[inside], atol=2e-5)


def test_a_lone_column_is_softened_to_half_over_twice_its_time():
    samples, count = 1000, 10
    columns = np.zeros((1, count))
    columns[0, 4] = 1.0
    level = synthesised(columns, samples, np.array([0.0]), np.array([np.pi / 2]))  # cos 0: the level itself
    borders = np.arange(count + 1) * samples / count
    at_borders = [0, 0, 0, 0, 0.5, 0.5, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(level, np.interp(np.arange(samples), borders, at_borders), atol=1e-5)


def test_frequencies_do_not_drift_in_a_minute():
    """The last tenth of a second of sixty, against float64."""
    rate, seconds = 8000, 60
    frequencies = np.array([27.5, 439.123456, 3456.789])
    phases = np.array([0.1, 1.0, 2.0])
    wave = np.asarray(synthesised(np.ones((3, 600)), rate * seconds, frequencies, phases, rate))
    # The increments are whole fractions of a turn: a frequency is exact to rate / 2^32.
    exact = oscillators.phase_increment(frequencies, rate).astype(float) * rate / 2**32
    np.testing.assert_allclose(exact, frequencies, atol=rate / 2**33)
    expected = direct(1.0, rate * seconds, exact, phases, rate)
    np.testing.assert_allclose(wave[-800:], expected[-800:], atol=2e-5)
    np.testing.assert_allclose(wave[-800:], direct(1.0, rate * seconds, frequencies, phases, rate)[-800:], atol=2e-3)


def test_it_is_linear_in_the_levels():
    first, second = RNG.random((2, len(FREQUENCIES), 10))
    both = synthesised(first - 3 * second, 1000)
    np.testing.assert_allclose(both, synthesised(first, 1000) - 3 * synthesised(second, 1000), atol=1e-4)


def test_silence_is_silent_and_its_gradient_finite():
    columns = jnp.zeros((len(FREQUENCIES), 10))
    np.testing.assert_array_equal(synthesised(columns, 1000), 0.0)
    gradient = jax.grad(lambda a: jnp.sum(oscillators.additive_synthesis(
        a, jnp.asarray(oscillators.phase_increment(FREQUENCIES, RATE)), jnp.asarray(PHASES, jnp.float32), 1000) ** 2
    ))(columns)  # fmt: skip
    np.testing.assert_array_equal(gradient, 0.0)


def test_the_gradient_is_the_adjoint():
    """<S a, y> = <a, S' y>."""
    columns, y = (jnp.asarray(RNG.standard_normal(s), jnp.float32) for s in ((len(FREQUENCIES), 10), (1000,)))
    wave, pull = jax.vjp(lambda a: synthesised(a, 1000), columns)
    np.testing.assert_allclose(jnp.vdot(wave, y), jnp.vdot(columns, pull(y)[0]), rtol=1e-3)


def test_increments_are_fractions_of_a_turn():
    found = oscillators.phase_increment(np.array([0.0, 1000.0, 2000.0, 3999.0]), 8000)
    np.testing.assert_array_equal(found, [0, 2**29, 2**30, round(3999 / 8000 * 2**32)])
    assert found.dtype == np.uint32


@pytest.mark.parametrize("frequencies", [[4000.0], [100.0, 5000.0], [-1.0, 20.0], [np.nan], [np.inf]])
def test_frequencies_that_would_alias_are_refused(frequencies):
    with pytest.raises(ValueError, match="do not fit below half the sample rate of 8000 Hz"):
        oscillators.phase_increment(np.array(frequencies), 8000)


def test_no_rows_make_no_increments():
    assert oscillators.phase_increment(np.zeros(0), 8000).shape == (0,)
