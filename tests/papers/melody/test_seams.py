"""Ranks of joints: planted seams are found, and continuous music has none."""

import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.melody import seams
from specjax.papers.melody.representation import FILTERS, SAMPLE_RATE, TRANSFORM
from specjax.signal.mel import mel_from_wave

PERIOD = seams.PERIOD_S * SAMPLE_RATE / TRANSFORM.hop_length
JOINTS = [round(i * PERIOD) for i in (1, 2)]
FRAMES = 3 * 431


def music(seed, frames=FRAMES):
    """Mel power that varies slowly, with notes that begin at random times."""
    rng = np.random.default_rng(seed)
    notes = np.cumsum(rng.normal(size=(32, frames)) * (rng.random(frames) < 0.1), axis=1)
    return (10 ** (0.3 * np.sin(notes) + 0.05 * rng.normal(size=(32, frames)))).astype(np.float32)


@pytest.fixture(scope="module")
def pieces():
    return [music(seed) for seed in range(12)]


def test_joints_of_continuous_music_have_any_rank(pieces):
    ranks = [seams.rank_multiples(piece) for piece in pieces]
    assert 0.3 < np.mean(ranks) < 0.85  # the greater of two ranks, each uniform on average
    assert max(ranks) < 0.99


def test_a_lasting_change_at_the_joints_is_found(pieces):
    """Every part has other mean levels, as if it were another piece."""
    for seed, piece in enumerate(pieces):
        levels = np.random.default_rng(seed).uniform(0.2, 5, (3, 32)).astype(np.float32)
        part = np.searchsorted(JOINTS, np.arange(FRAMES), side="right")
        assert seams.rank_multiples(piece * levels[part].T) > 0.99


def test_a_sudden_change_at_the_joints_is_found(pieces):
    for piece in pieces:
        gap = piece.copy()
        gap[:, JOINTS] *= 1e-3
        assert seams.rank_multiples(gap) > 0.99
        moved = piece.copy()
        moved[:, [joint + 200 for joint in JOINTS]] *= 1e-3
        assert seams.rank_multiples(moved) < 0.99


def test_the_rank_is_the_share_of_smaller_changes():
    """Each frame differs more from the one before than any earlier one did, so the rank is that of the time."""
    level_db = np.cumsum(np.linspace(0, 0.02, 1000))[None]
    power = 10 ** (level_db / 10)
    for joint in (300, 500, 700):
        smaller, greater = joint - 2 - 90, 1000 - 90 - joint
        rank = seams.rank_joints(power.astype(np.float32), [joint])
        assert rank == pytest.approx(smaller / (smaller + greater), abs=0.12)


def test_a_loop_whose_end_meets_its_beginning_has_no_click():
    """A tone with a whole number of periods, and the same tone with half a period more."""
    time = np.arange(5 * SAMPLE_RATE) / len(np.arange(5 * SAMPLE_RATE))
    noise = 0.01 * np.random.default_rng(0).normal(size=len(time))
    whole, cut = (np.sin(2 * np.pi * periods * time) + noise for periods in (1000, 1000.5))
    assert seams.rank_loop(cut.astype(np.float32)) == 1
    smooth = seams.rank_loop(whole.astype(np.float32))
    assert smooth < 1


def test_the_middle_of_a_recording_is_no_joint():
    rng = np.random.default_rng(1)
    wave = rng.normal(size=12 * SAMPLE_RATE).astype(np.float32)
    assert seams.rank_wave(wave, 6 * SAMPLE_RATE) < 0.999
    wave[6 * SAMPLE_RATE :] = np.convolve(wave, np.ones(8) / 8, "same")[6 * SAMPLE_RATE :]
    mel = np.asarray(mel_from_wave(jnp.asarray(wave), TRANSFORM, FILTERS))
    assert seams.rank_joints(mel, [round(6 * SAMPLE_RATE / TRANSFORM.hop_length)]) == 1


def test_too_short_a_piece_is_an_error():
    with pytest.raises(ValueError, match="have no joint"):
        seams.rank_multiples(music(0, 500))
