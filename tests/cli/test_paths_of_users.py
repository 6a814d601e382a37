"""Users without a home, and unknown users."""

import os
from pathlib import Path

import pytest

from specjax.cli import app
from specjax.cli.errors import UserError
from specjax.cli.paths import local_path


def test_user_without_a_home_has_no_cache(monkeypatch, caplog):
    monkeypatch.delenv("SPECJAX_CACHE", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does if there is no home
    app.use_compilation_cache()
    assert [record.getMessage() for record in caplog.records] == [
        f"no compilation cache: {app.cache_folder('xla')} cannot be made (Not a directory)"
    ]
    with pytest.raises(
        UserError, match="~/x is in the home of a user who is unknown or has none: write the whole path"
    ):
        local_path("~/x", "--workdir")


def test_path_in_the_home_of_an_unknown_user_is_an_error():
    with pytest.raises(UserError, match=r"~nobody-known/x is in the home of a user who is unknown"):
        local_path("~nobody-known/x", "--workdir")
    assert local_path("./~nobody-known", "--workdir") == Path("~nobody-known")
