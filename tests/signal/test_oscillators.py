"""Additive synthesis compared with a direct sum of sines in float64."""

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


def sum_of_sines(amplitudes, samples, frequencies=FREQUENCIES, phases=PHASES, rate=RATE):
    """Sum of sines with the given amplitudes, sample by sample."""
    time = np.arange(samples) / rate
    return np.sum(amplitudes * np.sin(2 * np.pi * frequencies[:, None] * time + phases[:, None]), axis=0)


def interpolate_amplitudes(columns, samples):
    """Amplitude of each row at each sample.

    Column k is centered on sample (k + 1/2) samples / columns. The columns are interpolated linearly at the edges of
    frames of equal integer length, one frame per column. The values at the edges are interpolated linearly again.
    """
    count = columns.shape[1]
    width = -(-samples // count)
    edges = np.arange(count + 1) * width
    centers = (np.arange(count) + 0.5) * samples / count
    at_edges = [np.interp(edges, centers, row) for row in columns]
    return np.stack([np.interp(np.arange(samples), edges, row) for row in at_edges])


def synthesize(columns, samples, frequencies=FREQUENCIES, phases=PHASES, rate=RATE, mode="jit"):
    increment = jnp.asarray(oscillators.phase_increment(frequencies, rate))
    function = modes(partial(oscillators.additive_synthesis, samples=samples))[mode]
    return function(jnp.asarray(columns, jnp.float32), increment, jnp.asarray(phases, jnp.float32))


@pytest.mark.parametrize(
    ("columns", "samples", "mode"),
    [(7, 1000, "plain"), (7, 1000, "vmap")]
    + [(*shape, "jit") for shape in ((10, 1000), (7, 1000), (1, 100), (16, 16), (50, 400), (9, 5))],
)
def test_synthesis_matches_sum_of_sines(columns, samples, mode):
    amplitudes = RNG.random((len(FREQUENCIES), columns)).astype(np.float32)
    expected = sum_of_sines(interpolate_amplitudes(amplitudes, samples), samples)
    np.testing.assert_allclose(synthesize(amplitudes, samples, mode=mode), expected, atol=2e-5)


def test_linear_amplitudes_are_reproduced_exactly():
    """This holds between the centers of the first and the last column."""
    samples, count = 1000, 10
    centers = (np.arange(count) + 0.5) * samples / count
    ramp = np.tile(0.2 + 0.7 * centers / samples, (len(FREQUENCIES), 1))
    line = 0.2 + 0.7 * np.arange(samples) / samples
    inside = slice(100, 900)  # beyond the outermost centers the amplitude is constant
    wave = synthesize(ramp, samples)
    np.testing.assert_allclose(wave[inside], sum_of_sines(line, samples)[inside], atol=2e-5)


def test_single_column_reaches_half_its_amplitude_over_twice_its_duration():
    samples, count = 1000, 10
    columns = np.zeros((1, count))
    columns[0, 4] = 1.0
    # At frequency 0 and phase pi / 2 the sine is 1, so that the output is the envelope itself.
    envelope = synthesize(columns, samples, np.array([0.0]), np.array([np.pi / 2]))
    edges = np.arange(count + 1) * samples / count
    at_edges = [0, 0, 0, 0, 0.5, 0.5, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(envelope, np.interp(np.arange(samples), edges, at_edges), atol=1e-5)


def test_frequencies_do_not_drift_within_a_minute():
    """The last tenth of a second of sixty seconds is compared with float64."""
    rate, seconds = 8000, 60
    frequencies = np.array([27.5, 439.123456, 3456.789])
    phases = np.array([0.1, 1.0, 2.0])
    wave = np.asarray(synthesize(np.ones((3, 600)), rate * seconds, frequencies, phases, rate))
    # Increments are integer multiples of 2^-32 turns, so frequencies are rounded to multiples of rate / 2^32.
    exact = oscillators.phase_increment(frequencies, rate).astype(float) * rate / 2**32
    np.testing.assert_allclose(exact, frequencies, atol=rate / 2**33)
    expected = sum_of_sines(1.0, rate * seconds, exact, phases, rate)
    np.testing.assert_allclose(wave[-800:], expected[-800:], atol=2e-5)
    np.testing.assert_allclose(
        wave[-800:], sum_of_sines(1.0, rate * seconds, frequencies, phases, rate)[-800:], atol=2e-3
    )


def test_synthesis_is_linear_in_the_amplitudes():
    first, second = RNG.random((2, len(FREQUENCIES), 10))
    combined = synthesize(first - 3 * second, 1000)
    np.testing.assert_allclose(combined, synthesize(first, 1000) - 3 * synthesize(second, 1000), atol=1e-4)


def test_zero_amplitudes_give_silence_and_zero_gradient():
    columns = jnp.zeros((len(FREQUENCIES), 10))
    np.testing.assert_array_equal(synthesize(columns, 1000), 0.0)
    gradient = jax.grad(lambda a: jnp.sum(oscillators.additive_synthesis(
        a, jnp.asarray(oscillators.phase_increment(FREQUENCIES, RATE)), jnp.asarray(PHASES, jnp.float32), 1000) ** 2
    ))(columns)  # fmt: skip
    np.testing.assert_array_equal(gradient, 0.0)


def test_gradient_is_the_adjoint():
    """For the synthesis operator S: <S a, y> = <a, S' y>."""
    columns, y = (jnp.asarray(RNG.standard_normal(s), jnp.float32) for s in ((len(FREQUENCIES), 10), (1000,)))
    wave, vjp = jax.vjp(lambda a: synthesize(a, 1000), columns)
    np.testing.assert_allclose(jnp.vdot(wave, y), jnp.vdot(columns, vjp(y)[0]), rtol=1e-3)


def test_phase_increments_are_32_bit_fractions_of_a_turn():
    result = oscillators.phase_increment(np.array([0.0, 1000.0, 2000.0, 3999.0]), 8000)
    np.testing.assert_array_equal(result, [0, 2**29, 2**30, round(3999 / 8000 * 2**32)])
    assert result.dtype == np.uint32


@pytest.mark.parametrize("frequencies", [[4000.0], [100.0, 5000.0], [-1.0, 20.0], [np.nan], [np.inf]])
def test_frequencies_that_would_alias_raise(frequencies):
    with pytest.raises(ValueError, match="do not fit below half the sample rate of 8000 Hz"):
        oscillators.phase_increment(np.array(frequencies), 8000)


def test_phase_increment_of_no_rows_is_empty():
    assert oscillators.phase_increment(np.zeros(0), 8000).shape == (0,)
