"""Tests of atomic writing: killed processes, files of the user, and pipes."""

import fcntl
import os
import time

import pytest

from specjax.cli import files

ABANDONED = ".specjax-partial-0123456789ab"


@pytest.fixture
def left_behind(tmp_path):
    """Temporary file that a process left an hour ago, in a folder where nothing was written yet."""
    path = tmp_path / ABANDONED
    path.write_bytes(b"half of")
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))
    return path


def test_what_a_killed_process_left_is_removed_by_the_next_write(left_behind):
    (left_behind.parent / "ship.partial").mkdir()
    files.write_atomic(left_behind.parent / "out", b"whole")
    assert sorted(path.name for path in left_behind.parent.iterdir()) == ["out", "ship.partial"]


def test_what_another_process_writes_is_kept(left_behind):
    with open(left_behind, "rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        files.write_atomic(left_behind.parent / "out", b"whole")
    assert left_behind.exists()


def test_what_another_process_has_just_created_is_kept(tmp_path):
    (tmp_path / ABANDONED).touch()
    files.write_atomic(tmp_path / "out", b"whole")
    assert (tmp_path / ABANDONED).exists()


def test_folder_is_complete_or_absent(tmp_path):
    def fail_in_the_middle():
        with files.atomic_folder(tmp_path / "out") as partial:
            (partial / "one").touch()
            assert not (tmp_path / "out").exists()
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        fail_in_the_middle()
    assert not list(tmp_path.iterdir())
    with files.atomic_folder(tmp_path / "out") as partial:
        (partial / "one").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one"]


@pytest.mark.parametrize("precious", ["out/precious", "out"])
def test_folder_does_not_replace_what_appears_meanwhile(tmp_path, precious):
    def write():
        with files.atomic_folder(tmp_path / "out"):
            (tmp_path / precious).parent.mkdir(exist_ok=True)
            (tmp_path / precious).touch()

    with pytest.raises(OSError, match="not empty|Not a directory"):
        write()
    assert (tmp_path / precious).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_signal_removes_what_is_unfinished(tmp_path):
    with files.atomic_file(tmp_path / "out") as partial:
        files.remove_partial_files()
        assert not list(tmp_path.iterdir())
        partial.touch()


def test_pipes_folders_and_large_files_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    for name, message in (("pipe", "not a regular file"), (".", "directory"), ("file", "at most 4"), ("no", "No such")):
        with pytest.raises(OSError, match=message):
            files.read_regular(tmp_path / name, 4)
    assert files.read_regular(tmp_path / "file", 5) == b"12345"
