"""Reading sets of sound files as waves of equal length, and listing folders of them."""

from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import soundfile

from permissions import enforce_permissions
from specjax.cli.errors import UserError
from specjax.data import clips, skipping

RATE = 16000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(4000) / RATE)).astype(np.float32)


def write_sound(path):
    soundfile.write(path, TONE, RATE)
    return path


def set_available_memory(monkeypatch, size):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=size))


class TestClips:
    def test_files_are_read_at_equal_length(self, tmp_path):
        paths = [write_sound(tmp_path / name) for name in ("b.wav", "a.flac")]
        result = clips.read_clips(paths, RATE, 3000)
        assert (result.waves.shape, result.paths, result.skipped) == ((2, 3000), paths, [])
        np.testing.assert_allclose(result.waves, np.stack([TONE[:3000]] * 2), atol=1e-4)

    def test_bad_files_are_skipped_up_to_the_given_share(self, tmp_path, caplog):
        paths = [write_sound(tmp_path / f"{i}.wav") for i in range(4)]
        paths[1].unlink()  # The file vanishes after it was listed.
        paths[2].write_bytes(b"junk")
        result = clips.read_clips(paths, RATE, 3000, max_bad_share=0.5)
        assert result.paths == [paths[0], paths[3]]
        assert [skipped.path for skipped in result.skipped] == [paths[1], paths[2]]
        assert [record.message.split(": ")[0] for record in caplog.records] == ["skipped", "skipped"]
        assert result.waves.shape == (2, 3000)

    def test_too_many_bad_files_raise(self, tmp_path):
        paths = [write_sound(tmp_path / f"{i}.wav") for i in range(4)]
        paths[2].write_bytes(b"junk")
        with pytest.raises(UserError, match=r"1 of 4 sound files cannot be used, more than max_bad_share=0; .*2\.wav"):
            clips.read_clips(paths, RATE, 3000)

    def test_no_good_file_raises(self, tmp_path):
        with pytest.raises(UserError, match="none of 1 sound files can be used; the first: .*No such file"):
            clips.read_clips([tmp_path / "a.wav"], RATE, 3000, max_bad_share=1.0)

    def test_no_files_raise(self):
        with pytest.raises(UserError, match="no sound files to read"):
            clips.read_clips([], RATE, 3000)

    def test_waves_beyond_the_memory_share_raise_before_anything_is_read(self, tmp_path, monkeypatch):
        set_available_memory(monkeypatch, 2**30)
        missing = [tmp_path / "a.wav"] * 1000
        with pytest.raises(UserError) as error:
            clips.read_clips(missing, RATE, 10 * RATE)
        assert str(error.value) == (
            "1000 clips of 10.0 s at 16000 Hz need 0.60 GiB of memory, expected at most 50% of the 1.00 GiB available: "
            "use shorter clips, a lower sample rate or fewer files"
        )
        set_available_memory(monkeypatch, 2**31)
        with pytest.raises(UserError, match="the first: .*No such file"):
            clips.read_clips(missing, RATE, 10 * RATE)

    def test_memory_and_progress_of_a_large_set_are_logged(self, tmp_path, monkeypatch, caplog):
        paths = [write_sound(tmp_path / f"{i}.wav") for i in range(3)]
        set_available_memory(monkeypatch, 2**30)
        with caplog.at_level("INFO", "specjax"):
            clips.read_clips(paths, RATE, 3000)
            assert not caplog.records, "small sets are read in silence"
            monkeypatch.setattr(clips, "_LARGE_BYTES", 1000)
            monkeypatch.setattr(skipping, "REPORT_S", 0.0)
            clips.read_clips(paths, RATE, 3000)
        assert [record.message for record in caplog.records] == [
            "3 clips of 0.2 s at 16000 Hz take 0.00 of 1.00 GiB of memory",
            *(f"{done} of 3 sound files read" for done in range(3)),
        ]


class TestFolder:
    def test_files_are_sorted_and_folder_links_not_followed(self, tmp_path):
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "again").symlink_to(tmp_path)
        for name in ("b/2.ogg", "b/10.WAV", "a.mp3", "notes.txt"):
            (tmp_path / name).touch()
        result = clips.audio_files(tmp_path)
        assert [str(path.relative_to(tmp_path)) for path in result] == ["a.mp3", "b/10.WAV", "b/2.ogg"]

    def test_unreadable_subfolder_raises(self, tmp_path):
        (tmp_path / "a.wav").touch()
        (tmp_path / "secret").mkdir(mode=0)
        with enforce_permissions(), pytest.raises(UserError, match=r"secret cannot be read \(Permission denied\)"):
            clips.audio_files(tmp_path)

    def test_missing_folder_no_files_and_too_many_files_raise(self, tmp_path, monkeypatch):
        with pytest.raises(UserError, match="missing does not exist: name a folder of sound files$"):
            clips.audio_files(tmp_path / "missing")
        (tmp_path / "notes.txt").touch()
        with pytest.raises(UserError, match="contains no sound files"):
            clips.audio_files(tmp_path)
        monkeypatch.setattr("specjax.data.readers.MAX_FILES", 1)
        for name in ("a.wav", "b.wav"):
            (tmp_path / name).touch()
        with pytest.raises(UserError, match="more than 1 sound files"):
            clips.audio_files(tmp_path)
