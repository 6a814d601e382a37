"""Output files of commands: those of the user are not replaced."""

import errno
import os

import pytest

from specjax.cli import outputs
from specjax.cli.errors import UserError


@pytest.mark.parametrize("links", [True, False])
def test_file_that_appears_while_a_command_works_is_not_replaced(tmp_path, monkeypatch, links):
    def fail(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if not links:
        monkeypatch.setattr(os, "link", fail)
    out = outputs.claim_file(tmp_path / "out.wav", (".wav",), overwrite=False)
    out.write_bytes(b"precious")
    with pytest.raises(UserError, match="has appeared while this command ran: choose another path, or --overwrite"):
        outputs.write(out, b"sound")
    assert out.read_bytes() == b"precious"
    out.unlink()
    outputs.write(out, b"sound")
    outputs.write(out, b"a file of this command itself")
    outputs.write(outputs.claim_file(out, (".wav",), overwrite=True), b"replaced")
    assert out.read_bytes() == b"replaced"
    assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]
