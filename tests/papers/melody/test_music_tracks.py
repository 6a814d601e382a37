"""Tracks of a data set of music: layouts of folders, genres, and which tracks are held out."""

from dataclasses import replace

import pytest

from specjax.cli.errors import UserError
from specjax.papers.melody.tracks import (
    MusicConfig,
    Track,
    list_tracks,
    resolve_genres,
    split_by_lists,
    split_by_share,
)

TRACKS = tuple(Track(genre, f"{genre}.{i:05d}.au") for genre in ("blues", "jazz") for i in range(5))
BOTH = MusicConfig(genres=("blues", "jazz"))


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write_list(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return str(path)


class TestListing:
    def test_subfolders_are_genres(self, tmp_path):
        touch(
            tmp_path / "rock/b.wav", tmp_path / "rock/album/a.MP3", tmp_path / "jazz/c.au", tmp_path / "jazz/notes.txt"
        )
        config = resolve_genres(MusicConfig(source=str(tmp_path)))
        assert config.genres == ("jazz", "rock")
        names = [(track.genre, track.name) for track in list_tracks(config)]
        assert names == [("jazz", "c.au"), ("rock", "album/a.MP3"), ("rock", "b.wav")]

    @pytest.mark.parametrize("folder", ["genres", "genres_original"])
    def test_folder_of_the_archive_is_found(self, tmp_path, folder):
        touch(tmp_path / folder / "jazz/a.wav", tmp_path / "images_original/jazz/a.png")
        assert resolve_genres(MusicConfig(source=str(tmp_path))).genres == ("jazz",)

    def test_files_directly_in_the_folder_are_one_genre(self, tmp_path):
        touch(tmp_path / "polka/a.wav", tmp_path / "polka/b.flac")
        config = MusicConfig(source=str(tmp_path / "polka"))
        assert resolve_genres(config).genres == ("polka",)
        assert [track.name for track in list_tracks(config)] == ["a.wav", "b.flac"]

    def test_synthetic_source_has_the_genres_of_the_band(self):
        config = resolve_genres(MusicConfig(synthetic_tracks=3))
        tracks = list_tracks(config)
        assert len(tracks) == 3 * len(config.genres)
        assert len(set(tracks)) == len(tracks)

    def test_changed_file_is_another_track(self, tmp_path):
        touch(tmp_path / "jazz/a.wav")
        config = MusicConfig(source=str(tmp_path))
        before = list_tracks(config)
        assert list_tracks(config) == before
        (tmp_path / "jazz/a.wav").write_bytes(b"longer")
        assert list_tracks(config) != before

    def test_unusable_folders_raise(self, tmp_path):
        config = MusicConfig(source=str(tmp_path))
        with pytest.raises(UserError, match="missing does not exist: name a folder of sound files, with one subfolder"):
            list_tracks(replace(config, source=str(tmp_path / "missing")))
        touch(tmp_path / "jazz/a.wav")
        with pytest.raises(UserError, match="has the genres jazz, but not 'rock' of data.genres: use other data"):
            list_tracks(replace(config, genres=("jazz", "rock")))
        touch(tmp_path / "stray.wav")
        with pytest.raises(UserError, match="has the sound file stray.wav beside the subfolder jazz"):
            list_tracks(config)
        (tmp_path / "stray.wav").rename(tmp_path / "readme.txt")
        touch(tmp_path / "texts" / "a.txt")
        with pytest.raises(UserError, match="texts contains no sound files"):
            list_tracks(config)


class TestSplit:
    def test_last_tracks_of_each_genre_are_held_out(self):
        split = split_by_share(replace(BOTH, held_out_share=0.4), TRACKS, range(10))
        assert split == ([0, 1, 2, 5, 6, 7], [3, 4, 8, 9])

    def test_share_counts_usable_tracks_and_is_at_least_one(self):
        split = split_by_share(replace(BOTH, held_out_share=0.01), TRACKS, [0, 1, 2, 5, 9])
        assert split == ([0, 1, 5], [2, 9])
        assert split_by_share(replace(BOTH, held_out_share=0.0), TRACKS, [3, 7]) == ([3, 7], [])

    def test_single_track_cannot_be_divided(self):
        with pytest.raises(UserError, match="genre 'jazz' has 1 usable tracks, of which 1 would be held out and none"):
            split_by_share(BOTH, TRACKS, [0, 1, 7])

    def test_lists_name_tracks_with_or_without_genre_and_with_any_suffix(self, tmp_path):
        config = replace(
            BOTH,
            train_list=write_list(tmp_path / "train", "blues.00000.wav", "", "jazz/jazz.00004.mp3", "jazz00001.png"),
            held_out_list=write_list(tmp_path / "held_out", "blues/blues.00003", "  jazz.00000.au  "),
        )
        assert split_by_lists(config, TRACKS) == ([0, 6, 9], [3, 5])

    def test_missing_list_stands_for_all_others(self, tmp_path):
        names = write_list(tmp_path / "list", "blues.00000.wav", "jazz.00000.wav")
        assert split_by_lists(replace(BOTH, held_out_list=names), TRACKS) == ([1, 2, 3, 4, 6, 7, 8, 9], [0, 5])
        assert split_by_lists(replace(BOTH, train_list=names), TRACKS) == ([0, 5], [1, 2, 3, 4, 6, 7, 8, 9])
        assert split_by_lists(BOTH, TRACKS) is None

    def test_entries_of_genres_that_are_not_used_are_left_out(self, tmp_path):
        names = write_list(tmp_path / "list", "blues.00000.wav", "jazz.00000.wav")
        assert split_by_lists(MusicConfig(genres=("jazz",), held_out_list=names), TRACKS) == ([6, 7, 8, 9], [5])

    def test_wrong_lists_raise(self, tmp_path):
        one = write_list(tmp_path / "one", "blues.00000.wav", "jazz.00000.wav")
        with pytest.raises(
            UserError, match="line 2 names 'disco.00000.wav', which is not in the data: remove the line"
        ):
            split_by_lists(replace(BOTH, train_list=write_list(tmp_path / "a", "", "disco.00000.wav")), TRACKS)
        with pytest.raises(UserError, match=r"blues.00000.au is in data.train_list=.*one and in data.held_out_list="):
            split_by_lists(replace(BOTH, train_list=one, held_out_list=one), TRACKS)
        with pytest.raises(UserError, match="no usable track of the genre 'jazz' is left to train on: change"):
            split_by_lists(replace(BOTH, train_list=write_list(tmp_path / "b", "blues.00001.wav")), TRACKS)
        twins = (Track("blues", "01.wav"), Track("jazz", "01.wav"))
        with pytest.raises(UserError, match="names '01', which 2 tracks are called: write FOLDER/NAME"):
            split_by_lists(replace(BOTH, train_list=write_list(tmp_path / "c", "01")), twins)
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(UserError, match="is not a text file, expected a list of tracks"):
            split_by_lists(replace(BOTH, train_list=str(tmp_path / "binary")), TRACKS)
        with pytest.raises(UserError, match="No such file"):
            split_by_lists(replace(BOTH, train_list=str(tmp_path / "none")), TRACKS)


@pytest.mark.parametrize(
    "options",
    [
        {"hop_s": 0.0},
        {"held_out_share": 1.0},
        {"synthetic_tracks": 1},
        {"tempo_bpm": 10.0},
        {"max_bad_share": 1.5},
        {"genres": ("jazz", "jazz")},
    ],
)
def test_options_out_of_range_raise(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        MusicConfig(**options)
