"""Lists of the files of a data set."""

from pathlib import Path

import pytest

from specjax.cli.errors import UserError
from specjax.data.file_lists import find_files, read_lines

NAMES = ("blues/a.b.0.wav", "jazz/a.b.0.wav", "jazz/c.ogg")


def test_entries_name_files_with_or_without_folder_suffix_and_dots():
    entries = ["blues/ab0", "", "c.mp3", "jazz/a.b.0.png"]
    assert find_files(entries, NAMES, Path("list"), "tracks") == [0, None, 2, 1]


def test_unknown_and_ambiguous_entries_raise():
    with pytest.raises(UserError, match="list, line 2 names 'd.ogg', which is not in the data: remove the line"):
        find_files(["c", "d.ogg"], NAMES, Path("list"), "tracks")
    with pytest.raises(UserError, match="names 'a.b.0', which 2 tracks are called: write FOLDER/NAME"):
        find_files(["a.b.0"], NAMES, Path("list"), "tracks")


def test_only_text_is_read(tmp_path):
    (tmp_path / "list").write_text("  one \n\ntwo")
    assert read_lines(tmp_path / "list", "a list") == ["one", "", "two"]
    (tmp_path / "list").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not a text file, expected a list"):
        read_lines(tmp_path / "list", "a list")
