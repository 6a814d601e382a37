"""Instruments of the synthetic band, and sounds of the drum kit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.melody.music.instruments import INSTRUMENTS, Kit, kit_length, kit_sounds
from specjax.signal.tones import synthesize_tone

RATE, SAMPLES, START, END = 22_050, 11_025, 1000, 9000

play = jax.jit(synthesize_tone, static_argnames="sample_rate")


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_tones_are_silent_outside_their_time_and_loud_within(name):
    position = jnp.arange(SAMPLES)
    left_s = (END - position).astype(jnp.float32) / RATE
    instrument = jax.tree.map(jnp.float32, INSTRUMENTS[name])
    wave = np.asarray(play(position - START, jnp.full(SAMPLES, 220.0), left_s, instrument, sample_rate=RATE))
    assert np.all(wave[: START + 1] == 0)
    assert np.all(wave[END:] == 0)
    assert 0.2 < np.sqrt(np.mean(wave[START + 2500 : 6000] ** 2)) < 2


def test_kit_has_a_low_kick_a_middle_snare_and_a_high_hat():
    noise = jax.random.normal(jax.random.key(0), (RATE,))
    sounds = np.asarray(jax.jit(kit_sounds, static_argnums=2)(jax.tree.map(jnp.float32, Kit()), noise, RATE))
    assert sounds.shape == (3, kit_length(RATE))
    np.testing.assert_allclose(np.abs(sounds).max(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(sounds[:, -1], 0, atol=1e-6)
    power = np.abs(np.fft.rfft(sounds)) ** 2
    centroid_hz = power @ np.fft.rfftfreq(kit_length(RATE), 1 / RATE) / power.sum(axis=1)
    assert centroid_hz[0] < 300 < centroid_hz[1] < 4000 < 6000 < centroid_hz[2]
