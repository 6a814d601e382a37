"""Many sound files as waves of one length, and the folders they lie in."""

import numpy as np
import pytest
import soundfile

from powers import without_powers
from specjax.cli.errors import UserError
from specjax.data import clips

RATE = 16000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(4000) / RATE)).astype(np.float32)


def written(path):
    soundfile.write(path, TONE, RATE)
    return path


class TestClips:
    def test_all_of_one_length(self, tmp_path):
        paths = [written(tmp_path / name) for name in ("b.wav", "a.flac")]
        found = clips.read_clips(paths, RATE, 3000)
        assert (found.waves.shape, found.paths, found.skipped) == ((2, 3000), paths, [])
        np.testing.assert_allclose(found.waves, np.stack([TONE[:3000]] * 2), atol=1e-4)

    def test_bad_files_are_counted_up_to_a_share(self, tmp_path, caplog):
        paths = [written(tmp_path / f"{i}.wav") for i in range(4)]
        paths[1].unlink()  # vanished since it was listed
        paths[2].write_bytes(b"junk")
        found = clips.read_clips(paths, RATE, 3000, max_bad_share=0.5)
        assert found.paths == [paths[0], paths[3]]
        assert [skipped.path for skipped in found.skipped] == [paths[1], paths[2]]
        assert [record.message.split(": ")[0] for record in caplog.records] == ["left out", "left out"]
        assert found.waves.shape == (2, 3000)

    def test_one_more_is_too_many(self, tmp_path):
        paths = [written(tmp_path / f"{i}.wav") for i in range(4)]
        paths[2].write_bytes(b"junk")
        with pytest.raises(UserError, match=r"1 of 4 sound files are bad, more than a share of 0; the first: .*2\.wav"):
            clips.read_clips(paths, RATE, 3000)

    def test_none_at_all_is_too_few(self, tmp_path):
        with pytest.raises(UserError, match="none of 1 sound files can be used; the first: .*No such file"):
            clips.read_clips([tmp_path / "a.wav"], RATE, 3000, max_bad_share=1.0)

    def test_nothing_and_too_much_are_refused(self, tmp_path):
        with pytest.raises(UserError, match="no sound files to read"):
            clips.read_clips([], RATE, 3000)
        with pytest.raises(UserError, match="choose fewer"):
            clips.read_clips([tmp_path / "a.wav"] * 1000, RATE, 10_000_000)


class TestFolder:
    def test_sounds_are_listed_in_order_and_links_not_entered(self, tmp_path):
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "again").symlink_to(tmp_path)
        for name in ("b/2.ogg", "b/10.WAV", "a.mp3", "notes.txt"):
            (tmp_path / name).touch()
        found = clips.audio_files(tmp_path)
        assert [str(path.relative_to(tmp_path)) for path in found] == ["a.mp3", "b/10.WAV", "b/2.ogg"]

    def test_a_folder_in_it_that_may_not_be_read_is_not_passed_over(self, tmp_path):
        (tmp_path / "a.wav").touch()
        (tmp_path / "secret").mkdir(mode=0)
        with without_powers(), pytest.raises(UserError, match="secret cannot be read: Permission denied"):
            clips.audio_files(tmp_path)

    def test_without_sounds_or_with_too_many_it_is_refused(self, tmp_path, monkeypatch):
        with pytest.raises(UserError, match="missing does not exist: name a folder of sound files$"):
            clips.audio_files(tmp_path / "missing")
        (tmp_path / "notes.txt").touch()
        with pytest.raises(UserError, match="holds no sound files"):
            clips.audio_files(tmp_path)
        monkeypatch.setattr(clips, "MAX_FILES", 1)
        for name in ("a.wav", "b.wav"):
            (tmp_path / name).touch()
        with pytest.raises(UserError, match="more than 1 sound files"):
            clips.audio_files(tmp_path)
