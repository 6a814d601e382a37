"""Tones of instruments compared with direct sums of harmonics."""

import jax
import jax.numpy as jnp
import numpy as np

from specjax.signal.tones import Instrument, synthesize_tone

RATE, SAMPLES, START = 22_050, 11_025, 1000
PLAIN = Instrument(700.0, 900.0, even=0.4, attack_s=0.01, decay=2.0, release_s=0.05, detune_cents=0.0)

play = jax.jit(synthesize_tone, static_argnames="sample_rate")


def render(instrument, hz=220.0, end=SAMPLES):
    """A tone that begins at sample START and ends at `end`."""
    age = jnp.arange(SAMPLES) - START
    left_s = (end - jnp.arange(SAMPLES)).astype(jnp.float32) / RATE
    instrument = jax.tree.map(jnp.float32, instrument)
    return np.asarray(play(age, jnp.full(SAMPLES, hz, jnp.float32), left_s, instrument, sample_rate=RATE))


def test_tone_is_a_sum_of_damped_harmonics():
    hz = 220.0
    time_s = np.maximum(np.arange(SAMPLES) - START, 0) / RATE
    left_s = (SAMPLES - np.arange(SAMPLES)) / RATE
    orders = np.arange(1, 200)[:, None]
    weights = np.where(orders % 2, 1, PLAIN.even) * np.exp(-orders * hz / PLAIN.bright_hz)
    damped = weights * np.exp(-orders * hz / PLAIN.damping_hz * time_s)
    envelope = np.minimum(time_s / PLAIN.attack_s, 1) * np.minimum(left_s / PLAIN.release_s, 1)
    envelope *= np.exp(-PLAIN.decay * time_s)
    # Two copies in unison, scaled by the root of the sum of squared amplitudes.
    expected = 2 * envelope * np.sum(damped * np.sin(2 * np.pi * orders * hz * time_s), axis=0)
    expected /= np.sqrt(np.sum(weights**2))
    np.testing.assert_allclose(render(PLAIN, hz), expected, atol=2e-4)


def test_pitch_glides_into_the_note():
    glide = PLAIN._replace(bright_hz=50.0, decay=0.0, glide=-12.0)
    wave = render(glide, hz=440.0)
    crossings = np.flatnonzero(np.diff(np.sign(wave[START + 1 :])) > 0)
    hz = RATE / np.diff(crossings)
    assert hz[0] < 260
    np.testing.assert_allclose(hz[-10:], 440, rtol=0.02)
