"""Tests of config files, and of the conversion of config values to dataclasses."""

import pytest

from specjax.cli.config import load, to_dataclass
from specjax.cli.errors import UserError
from specjax.papers.chord.config import ChordConfig


@pytest.mark.parametrize("value", [5, "huber", None, [1.0]])
@pytest.mark.parametrize("name", ["loss", "model", "optimizer"])
def test_value_in_place_of_a_group_of_settings_raises(name, value):
    with pytest.raises(UserError, match=rf"^card\.{name}={value!r} is not a group of settings".replace("[", r"\[")):
        to_dataclass(ChordConfig, {name: value}, "card")


def test_group_inside_a_mapping_is_converted():
    config = to_dataclass(ChordConfig, {"loss": {"huber": {"value": 2}}})
    assert config.loss["huber"].value == 2.0
    assert isinstance(config.loss["huber"].value, float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(:\n", "line 1 is not valid Python"),
        ("x = 1\n", "defines no function get_config"),
        ("def get_config():\n    raise ValueError('steps=-1 must be positive')\n", "steps=-1 must be positive"),
    ],
)
def test_config_file_without_a_usable_get_config_raises(tmp_path, text, message):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"^--config={path}: .*{message}"):
        load(str(path))
