"""Synthetic music: seeds and range, and its tempo, chords and genre as they are heard."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from specjax.papers.melody.band import GENRES, synthesize, tempo_bpm
from specjax.papers.melody.music.draws import draw
from specjax.papers.melody.music.score import compose
from specjax.papers.melody.music.tables import TABLES, select

RATE, DURATION_S, TRACKS = 8000, 8.0, 16
HOP = 100
GENRE = np.repeat(np.arange(len(GENRES)), TRACKS)
KEYS = jax.random.split(jax.random.key(0), len(GENRE))


@pytest.fixture(scope="module")
def waves():
    """Tracks of every genre; then the first ten again, and the key of the first with every genre."""
    keys = jnp.concatenate([KEYS, KEYS[:10], jnp.broadcast_to(KEYS[0], 10)])
    genres = jnp.asarray(np.concatenate([GENRE, GENRE[:10], np.arange(10)]))
    return np.asarray(synthesize(keys, genres, sample_rate=RATE, duration_s=DURATION_S))


@pytest.fixture(scope="module")
def tracks(waves):
    return waves[: len(GENRE)]


@pytest.fixture(scope="module")
def log_mels(tracks):
    """Spectrograms of 40 mel bands in dB, by librosa; shape (tracks, bands, frames)."""
    mel = librosa.feature.melspectrogram(y=tracks, sr=RATE, n_fft=512, hop_length=HOP, n_mels=40)
    return librosa.power_to_db(mel, ref=1.0, amin=1e-6)


@pytest.fixture(scope="module")
def periodicity(log_mels):
    """Autocorrelation of the onset envelope of each track, 1 at lag 0; lags are in frames."""
    onsets = np.maximum(np.diff(log_mels, axis=-1), 0).sum(axis=1)
    onsets -= onsets.mean(axis=1, keepdims=True)
    correlation = np.array([np.correlate(x, x, "full")[len(x) - 1 :] for x in onsets])
    return correlation / correlation[:, :1]


def test_tracks_are_finite_with_peaks_between_a_half_and_one(tracks):
    assert GENRES == ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
    assert tracks.shape == (len(GENRE), round(RATE * DURATION_S))
    assert np.all(np.isfinite(tracks))
    peaks = np.abs(tracks).max(axis=1)
    assert peaks.min() > 0.49
    assert peaks.max() < 0.96
    assert np.unique(peaks.round(4)).size > len(peaks) // 2


def test_music_never_stops(tracks):
    seconds = tracks.reshape(len(tracks), -1, RATE)
    level_db = 20 * np.log10(np.sqrt(np.mean(seconds**2, axis=-1)))
    assert level_db.min() > -30


def test_equal_keys_and_genres_give_equal_tracks_and_others_differ(waves):
    np.testing.assert_array_equal(waves[len(GENRE) : len(GENRE) + 10], waves[:10])
    for tracks in (*waves[: len(GENRE)].reshape(len(GENRES), TRACKS, -1), waves[-10:]):
        correlations = np.corrcoef(tracks)[np.triu_indices(len(tracks), 1)]
        assert np.abs(correlations).max() < 0.6


def test_tempo_heard_is_that_of_tempo_bpm_up_to_octaves(periodicity):
    true_bpm = np.asarray(tempo_bpm(KEYS, jnp.asarray(GENRE)))
    heard_bpm = np.array([strongest_tempo(x) for x in periodicity])
    octaves = np.log2(heard_bpm / true_bpm)
    correct = np.abs(octaves - np.round(octaves)) < np.log2(1.04)
    for genre, name in enumerate(GENRES):
        if name != "classical":  # which has no drums
            assert np.mean(correct[genre == GENRE]) >= 0.9, name


def strongest_tempo(periodicity):
    """Tempo from 60 to 200 BPM at which an onset is most often followed by others one, two and four beats later."""
    lags = np.arange(60 / 200, 60 / 60, 0.002) * RATE / HOP
    score = sum(np.interp(beats * lags, np.arange(len(periodicity)), periodicity) for beats in (1, 2, 4))
    return 60 * RATE / HOP / lags[score.argmax()]


def test_pitches_heard_are_those_of_the_chords(tracks):
    names = ("blues", "classical", "country", "jazz", "pop", "rock")
    chosen = np.concatenate([np.flatnonzero(GENRES.index(name) == GENRE)[:5] for name in names])
    harmony, half_bar_samples = (
        jax.tree.map(np.asarray, x) for x in chords_of(KEYS[chosen], jnp.asarray(GENRE[chosen]))
    )
    shifts = []
    for i, wave in enumerate(tracks[chosen]):
        chroma = librosa.feature.chroma_stft(y=wave, sr=RATE, n_fft=2048, hop_length=512, tuning=0)
        half_bars = (np.arange(chroma.shape[1]) * 512 / half_bar_samples[i]).astype(int)
        in_chord = (harmony[i, half_bars][:, :, None] % 12 == np.arange(12)).any(axis=1).T
        # A transposed harmony fits the sound less than the true one.
        shifts.append(np.argmax([np.sum(np.roll(in_chord, shift, axis=0) * chroma) for shift in range(12)]))
    assert np.mean(np.array(shifts) == 0) >= 0.95


@jax.jit
def chords_of(keys, genres):
    """Notes of the chords in each half bar, and the length of a half bar in samples."""

    def compute(key, genre):
        score = compose(draw(key), select(TABLES, genre), RATE)
        return score.harmony.notes, 2 * score.beat_samples

    return jax.vmap(compute)(keys, genres)


def test_logistic_regression_names_the_genre_of_held_out_tracks(log_mels, periodicity):
    spectrum = log_mels.mean(axis=-1) - log_mels.mean(axis=(1, 2))[:, None]
    features = np.concatenate([spectrum, log_mels.std(axis=-1), periodicity[:, 8:120:3]], axis=1)
    held_out = np.arange(len(GENRE)) % TRACKS >= TRACKS * 3 // 4
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(features[~held_out], GENRE[~held_out])
    assert model.score(features[held_out], GENRE[held_out]) >= 0.9


@pytest.mark.parametrize("options", [{"sample_rate": 4000}, {"duration_s": 0.5}])
def test_too_short_tracks_and_low_sample_rates_are_errors(options):
    with pytest.raises(ValueError, match="use at least 1 s at 8000 Hz"):
        synthesize(KEYS[:1], jnp.zeros(1, int), **options)
