"""Control rows of the table of generators: division of held-out clips, copies, and moment-matched noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.cli.errors import UserError
from specjax.papers.melody.mel_clips import Music
from specjax.papers.melody.noise import draw_noise
from specjax.papers.melody.representation import MELS, Representation, Statistics
from specjax.papers.melody.studies import controls
from specjax.papers.melody.studies.controls import RealMusic
from specjax.papers.melody.tracks import MusicConfig

CONFIG = MusicConfig(genres=("jazz", "pop"))


def make_music(tracks, start=0):
    """Clips of two genres, each of which holds its own number; the second genre has fewer."""
    clips = len(tracks)
    number = start + np.arange(2 * clips, dtype=np.float32).reshape(2, clips)
    mel = np.broadcast_to(number[..., None, None], (2, clips, 2, 3)).copy()
    return Music(mel, np.array([clips, clips - 1], np.int32), np.array([tracks, tracks], np.int32))


@pytest.fixture
def real(monkeypatch):
    def make(tracks, max_clips=0):
        sets = make_music([9] * 4, 100), make_music(tracks)
        monkeypatch.setattr(controls.data, "load", lambda config: sets)
        return RealMusic(CONFIG, max_clips)

    return make


def test_halves_meet_between_tracks():
    assert controls.halve(np.array([1, 1, 1, 2, 2, 3, 3, 3])) == 3
    assert controls.halve(np.array([1, 1, 1, 1, 1, 2])) == 5
    assert controls.halve(np.array([1, 1, 1, 1])) == 2


def test_the_reference_and_the_real_row_have_different_tracks_and_as_many_clips(real):
    music = real([1, 1, 1, 2, 2, 2, 2, 2])
    assert music.count == 3
    np.testing.assert_array_equal(music.reference[..., 0, 0], [[0, 1, 2], [8, 9, 10]])
    np.testing.assert_array_equal(music.others[..., 0, 0], [[3, 5, 7], [11, 13, 14]])
    assert music.reference_tracks == [1, 1]
    assert np.all(music.copies() >= 100)
    assert music.copies().shape == music.reference.shape


def test_too_few_held_out_clips_are_an_error(real):
    with pytest.raises(UserError, match="half of the held-out clips is 2 of each of 2 genres, expected at least 6"):
        _ = real([1, 1, 1, 2, 2, 2], max_clips=2).count


def test_noise_has_the_moments_of_the_clips():
    """Clips with a known mean, covariance between bands, and autocorrelation."""
    rng = np.random.default_rng(0)
    mix, mean = np.array([[1.0, 0, 0], [0.8, 0.6, 0], [0, 0.5, 0.2]]), np.array([-1.0, 0.5, 2.0])
    white = rng.normal(size=(8, 3, 263))
    smooth = sum(white[..., i : i + 256] * 0.7**i for i in range(8))
    values = np.einsum("bc,ect->ebt", mix, smooth / smooth.std()) + mean[:, None]
    keys = jax.random.split(jax.random.key(0), 400)
    noise = np.asarray(draw_noise(jnp.asarray(values, jnp.float32), keys))
    assert noise.shape == (400, 3, 256)
    flat, drawn = (x.transpose(1, 0, 2).reshape(3, -1) for x in (values, noise))
    np.testing.assert_allclose(drawn.mean(axis=1), flat.mean(axis=1), atol=0.03)
    np.testing.assert_allclose(np.cov(drawn), np.cov(flat), atol=0.04)
    for lag in (1, 4):
        actual, expected = (
            np.mean([np.corrcoef(x[b, lag:], x[b, :-lag])[0, 1] for b in range(3)]) for x in (drawn, flat)
        )
        assert actual == pytest.approx(expected * (1 - lag / 256), abs=0.04)


def test_noise_is_decoded_genre_by_genre(real):
    representation = Representation(statistics=Statistics(1.0, (-30.0,) * MELS, (10.0,) * MELS))
    music = real([1, 1, 1, 2, 2, 2, 2])
    mel = 10 ** np.random.default_rng(0).uniform(-5, -1, (2, 4, MELS, 40)).astype(np.float32)
    mel[1] *= 0.1
    train = Music(mel, np.array([4, 4], np.int32), np.zeros((2, 4), np.int32))
    music.__dict__["_sets"] = (train, music._sets[1])
    level_db = 10 * np.log10(music.noise(representation) + 1e-8).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(level_db, 10 * np.log10(mel + 1e-8).mean(axis=(1, 2, 3)), atol=1)
