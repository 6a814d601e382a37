"""Scores of the synthetic band: rhythms, harmony and voices of each genre as a musician would state them."""

from operator import itemgetter

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from specjax.papers.melody.music.draws import draw
from specjax.papers.melody.music.score import compose
from specjax.papers.melody.music.styles import DEGREES, STYLES
from specjax.papers.melody.music.tables import BARS, TABLES, parse_chord, select

RATE, TRACKS = 22_050, 6
GENRES = tuple(STYLES)


@jax.jit
def compose_tracks(keys):
    """Scores of some tracks of every genre, with the axes (genre, track)."""

    def compose_track(genre, key):
        return compose(draw(key), select(TABLES, genre), RATE)

    return jax.vmap(jax.vmap(compose_track, (None, 0)), (0, None))(jnp.arange(len(GENRES)), keys)


@pytest.fixture(scope="module")
def scores():
    return jax.tree.map(np.asarray, compose_tracks(jax.random.split(jax.random.key(0), TRACKS)))


def tracks_of(scores, genre):
    of_genre = jax.tree.map(lambda x: x[GENRES.index(genre)], scores)
    return [jax.tree.map(itemgetter(i), of_genre) for i in range(TRACKS)]


def all_tracks(scores):
    return [track for genre in GENRES for track in tracks_of(scores, genre)]


def begins(notes):
    """Steps at which a note of each voice begins, as booleans of shape (voices, steps)."""
    return np.diff(np.where(notes.velocity > 0, notes.start, -1), axis=1, prepend=-1) > 0


def pitches(notes):
    """MIDI note numbers of all voices at all steps."""
    return librosa.hz_to_midi(notes.hz).round().astype(int)


def steps_of_chords(score):
    """Pitch classes of the chord at each step, shape (steps, 4)."""
    return np.repeat((score.harmony.roots[:, None] + score.harmony.intervals) % 12, 8, axis=0)


@pytest.mark.parametrize("genre", GENRES)
def test_patterns_have_one_known_mark_per_step(genre):
    style = STYLES[genre]
    rhythms = [style.kick, style.snare, style.hat, *(x for part in style.chords for x in part.rhythms)]
    assert all(len(x) in (0, 16) and set(x) <= set("Xxo?.") for x in rhythms)
    assert all(len(part.line) == 16 and set(part.line) <= set(DEGREES + ".") for part in style.bass)
    assert all(len(part.density) == 16 for part in style.melody)
    assert all(BARS % len(progression.split()) == 0 for progression in style.progressions)
    assert all(len(part.rhythms) in (1, 4) for part in style.chords)


@pytest.mark.parametrize(
    ("symbol", "notes"),
    [("C", "C E G"), ("Am", "A C E"), ("Bb5", "Bb F"), ("G7", "G B D F"), ("Fmaj7", "F A C E"), ("Bm7b5", "B D F A")],
)
def test_chord_symbols_are_spelled(symbol, notes):
    root, intervals = parse_chord(symbol)
    expected = [librosa.note_to_midi(note) % 12 for note in notes.split()]
    assert root == expected[0]
    assert {(root + x) % 12 for x in intervals} == set(expected)


def test_notes_of_a_voice_do_not_overlap_and_end_within_the_piece(scores):
    for track in all_tracks(scores):
        for notes in (track.drums, track.voices):
            sounding = notes.velocity > 0
            assert notes.velocity.max() <= 1
            assert np.all((notes.end > notes.start)[sounding])
            assert notes.end.max() <= track.length
            following = begins(notes)[:, 1:]
            assert np.all((notes.end[:, :-1] <= notes.start[:, 1:])[following])


def test_notes_begin_on_the_grid_or_a_few_milliseconds_late(scores):
    for track in all_tracks(scores):
        steps = np.arange(track.drums.start.shape[1])
        grid = (steps // 4 + track.beat[steps % 4]) * track.beat_samples
        for notes, latest_s in ((track.drums, 0.0), (track.voices, 0.03)):
            late = (notes.start - grid)[begins(notes)]
            assert np.all((late >= -1) & (late <= latest_s * RATE + 1))


def test_drums_play_the_patterns_of_their_genre(scores):
    for track in tracks_of(scores, "disco"):
        kick = begins(track.drums)[0]
        np.testing.assert_array_equal(kick, np.arange(len(kick)) % 4 == 0)
    for track in tracks_of(scores, "classical"):
        assert not begins(track.drums).any()
    for track in tracks_of(scores, "hiphop"):
        snare = begins(track.drums)[1]
        np.testing.assert_array_equal(snare, np.arange(len(snare)) % 16 == 8)
    for track in tracks_of(scores, "metal"):
        assert begins(track.drums)[0].mean() >= 0.5
    for track in tracks_of(scores, "reggae"):
        chords = begins(track.voices)[1:5]
        assert chords[:, 2::4].all()
        assert not chords[:, ::16].any()


def test_blues_has_the_chords_of_twelve_bars(scores):
    for track in tracks_of(scores, "blues"):
        roots = (track.harmony.roots - track.harmony.roots[0])[::2] % 12
        np.testing.assert_array_equal(roots[:12], roots[12:])
        np.testing.assert_array_equal(roots[[0, 4, 5, 6, 7]], [0, 5, 5, 0, 0])


def test_bass_plays_the_root_on_first_beats(scores):
    for genre in sorted({*GENRES} - {"reggae"}):
        for track in tracks_of(scores, genre):
            bass = pitches(track.voices)[0]
            assert begins(track.voices)[0, ::16].all()
            np.testing.assert_array_equal(bass[::16] % 12, track.harmony.roots[::2] % 12)
            assert bass.min() >= 27
            assert bass.max() < 55


def test_chord_voices_play_the_notes_of_the_chord(scores):
    for track in all_tracks(scores):
        chords, onsets = pitches(track.voices)[1:5], begins(track.voices)[1:5]
        in_chord = (chords[:, :, None] % 12 == steps_of_chords(track)).any(axis=-1)
        assert in_chord[onsets].all()


def test_melody_keeps_to_the_scale_and_on_beats_to_the_chord(scores):
    for genre in GENRES:
        scale = {librosa.note_to_midi(note) % 12 for note in STYLES[genre].scale.split()}
        for track in tracks_of(scores, genre):
            melody, onsets = pitches(track.voices)[5], begins(track.voices)[5]
            on_beat = np.arange(len(melody)) % 4 == 0
            in_chord = (melody[:, None] % 12 == steps_of_chords(track)).any(axis=-1)
            assert in_chord[onsets & on_beat].all()
            others = {*(melody[onsets & ~on_beat] % 12)}
            assert any(others <= {(note + key) % 12 for note in scale} for key in range(12))
            assert onsets.sum() > 20


def test_tracks_of_a_genre_differ(scores):
    for genre in GENRES:
        tracks = tracks_of(scores, genre)
        assert len({float(x.beat_samples) for x in tracks}) == TRACKS
        assert len({pitches(x.voices)[5].tobytes() for x in tracks}) == TRACKS
        assert len({int(x.harmony.roots[0]) % 12 for x in tracks}) > 2
