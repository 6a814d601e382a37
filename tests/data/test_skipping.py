"""Skipping of bad files, up to a share."""

import pytest

from specjax.cli.errors import UserError
from specjax.data.skipping import SkippedFiles


def test_files_are_skipped_up_to_the_share(caplog):
    skipped = SkippedFiles(4, "tracks", 0.5, "data.max_bad_share")
    for number in (3, 1):
        skipped.add(number, UserError(f"{number}.wav is damaged"))
    skipped.report()
    assert [record.message for record in caplog.records] == ["skipped: 3.wav is damaged", "skipped: 1.wav is damaged"]
    with pytest.raises(UserError) as error:
        skipped.add(2, UserError("2.wav is damaged"))
    assert str(error.value) == (
        "3 of 4 tracks cannot be used, more than data.max_bad_share=0.5; the first: 3.wav is damaged"
    )


def test_no_usable_file_is_an_error_whatever_the_share():
    skipped = SkippedFiles(1, "pictures", 1.0)
    skipped.add(0, UserError("a.png is empty"))
    with pytest.raises(UserError, match="none of 1 pictures can be used; the first: a.png is empty"):
        skipped.report()
