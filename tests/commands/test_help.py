"""Help and version of the commands, as a new user would ask for them."""

import sys
from unittest import mock

import pytest

import specjax
from commands.run import run_in_process
from specjax import __main__ as specjax_main


@pytest.mark.parametrize("command", specjax_main.COMMANDS)
@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_of_a_command_describes_it_and_lists_its_options(command, word):
    done = run_in_process(command, word)
    assert done.returncode == 0
    assert f"specjax.{command} " in done.stdout
    assert ("chord" if command == "synth" else "--workdir" if command != "bench" else "--sweep") in done.stdout
    assert done.stderr == ""


def test_help_with_a_config_lists_its_entries_and_their_values():
    lines = run_in_process("train", "--config", "unet:tiny", "--help").stdout.splitlines()
    assert "  --config.optimizer.learning_rate.value=0.004" in lines
    assert "  --config.data.source=digits" in lines


def test_program_has_help_and_a_version(capsys):
    for word, expected in (("--help", "train the task of a config"), ("--version", f"specjax {specjax.__version__}")):
        with mock.patch.object(sys, "argv", ["specjax", word]):
            specjax_main.main()
        assert expected in capsys.readouterr().out
    with mock.patch.object(sys, "argv", ["specjax", "trian"]), pytest.raises(SystemExit) as stop:
        specjax_main.main()
    assert stop.value.code == 2
