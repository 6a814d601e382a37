"""Instruments of the synthetic band compared with direct sums of harmonics, and sounds of the drum kit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.melody.music.instruments import INSTRUMENTS, Instrument, Kit, kit_length, kit_sounds, tone

RATE, SAMPLES, START = 22_050, 11_025, 1000
PLAIN = Instrument(700.0, 900.0, even=0.4, attack_s=0.01, decay=2.0, release_s=0.05, detune_cents=0.0)

play = jax.jit(tone, static_argnames="sample_rate")


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


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_tones_are_silent_outside_their_time_and_loud_within(name):
    wave = render(INSTRUMENTS[name], end=9000)
    assert np.all(wave[: START + 1] == 0)
    assert np.all(wave[9000:] == 0)
    assert 0.2 < np.sqrt(np.mean(wave[START + 2500 : 6000] ** 2)) < 2


def test_pitch_glides_into_the_note():
    glide = PLAIN._replace(bright_hz=50.0, decay=0.0, glide=-12.0)
    wave = render(glide, hz=440.0)
    crossings = np.flatnonzero(np.diff(np.sign(wave[START + 1 :])) > 0)
    hz = RATE / np.diff(crossings)
    assert hz[0] < 260
    np.testing.assert_allclose(hz[-10:], 440, rtol=0.02)


def test_kit_has_a_low_kick_a_middle_snare_and_a_high_hat():
    noise = jax.random.normal(jax.random.key(0), (RATE,))
    sounds = np.asarray(jax.jit(kit_sounds, static_argnums=2)(jax.tree.map(jnp.float32, Kit()), noise, RATE))
    assert sounds.shape == (3, kit_length(RATE))
    np.testing.assert_allclose(np.abs(sounds).max(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(sounds[:, -1], 0, atol=1e-6)
    power = np.abs(np.fft.rfft(sounds)) ** 2
    centroid_hz = power @ np.fft.rfftfreq(kit_length(RATE), 1 / RATE) / power.sum(axis=1)
    assert centroid_hz[0] < 300 < centroid_hz[1] < 4000 < 6000 < centroid_hz[2]
