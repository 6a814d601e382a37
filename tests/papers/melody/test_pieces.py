"""Pieces: lengths of loops, shares of genres, the seam of a loop, and pictures."""

import jax.numpy as jnp
import numpy as np
import pytest

from specjax.cli.errors import UserError
from specjax.papers.melody import pieces
from specjax.papers.melody.representation import FILTERS, MELS, SAMPLE_RATE, TRANSFORM, Representation, Statistics
from specjax.signal.inversion import Inversion
from specjax.signal.mel import mel_from_wave

GENRES = ("blues", "jazz", "pop")


def test_a_bar_at_the_common_tempo_is_six_columns():
    assert pieces.count_loop_frames(2.0, 16, 107.67) == 96
    assert pieces.count_loop_frames(10.0, 16, 107.67) == 4 * 96  # 9 s are nearer to 10 s than 11 s are
    assert pieces.count_loop_frames(0.1, 16, 107.67) == 96


def test_a_loop_without_tempo_has_whole_columns():
    frames = pieces.count_loop_frames(10.0, 16)
    assert frames % 16 == 0
    assert frames * TRANSFORM.hop_length / SAMPLE_RATE == pytest.approx(10.0, abs=8 * 512 / SAMPLE_RATE)


def test_shares_of_genres():
    np.testing.assert_array_equal(
        pieces.genre_shares(GENRES, ["pop", "blues"], 2), [[0, 0, 1], [0, 0, 1], [1, 0, 0], [1, 0, 0]]
    )
    np.testing.assert_allclose(
        pieces.morph_shares(GENRES, ["pop", "jazz"], 3), [[0, 0, 1], [0, 0.5, 0.5], [0, 1, 0]], atol=1e-6
    )
    with pytest.raises(UserError, match="genre 'polka' is unknown: choose from blues, jazz, pop"):
        pieces.genre_shares(GENRES, ["polka"], 1)


def test_the_end_of_a_loop_leads_into_its_beginning():
    """A tone with a whole number of periods in the loop continues over the seam as inside."""
    frames = 64
    samples = frames * TRANSFORM.hop_length
    wave = 0.3 * np.sin(2 * np.pi * 300 * np.arange(3 * samples) / samples).astype(np.float32)
    mel = mel_from_wave(jnp.asarray(wave), TRANSFORM, FILTERS)[:, frames : 2 * frames]
    representation = Representation("power", statistics=Statistics(float(mel.max()), (-30.0,) * MELS, (10.0,) * MELS))
    settings = Inversion(iterations=8, mel_steps=0)
    loop = pieces.to_waves(mel[None], representation, loop=True, settings=settings)[0]
    assert len(loop) == samples
    steps = np.abs(np.diff(np.concatenate([loop[-100:], loop[:100]])))
    assert steps.max() < 1.2 * np.abs(np.diff(loop[1000:-1000])).max()


def test_a_grid_has_one_row_for_each_genre():
    representation = Representation(statistics=Statistics(1.0, (-30.0,) * MELS, (10.0,) * MELS))
    power = np.random.default_rng(0).uniform(size=(3, 2, MELS, 40)).astype(np.float32)
    small = pieces.draw_grid(power[:1], GENRES[:1], representation)
    assert pieces.draw_grid(power, GENRES, representation).shape[0] > 2 * small.shape[0]
    assert pieces.draw_piece(power[0, 0], representation, "a").dtype == np.uint8
