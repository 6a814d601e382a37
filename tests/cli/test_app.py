"""Tests of what all commands share."""

import pytest

from specjax.cli.app import escape_control_characters


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred.wav", r"a\x1b[31mred.wav"),
        ("caf\udce9 na\x9bve", r"caf\udce9 na\x9bve"),
        ("Größe\t§ 音\n", "Größe\t§ 音\n"),
        ("\rstep 1\rhidden\x07", "\rstep 1" + r"\rhidden\x07"),
        ("left\u202eright", r"left\u202eright"),
    ],
)
def test_terminals_execute_no_character_of_a_name(text, shown):
    assert escape_control_characters(text) == shown
