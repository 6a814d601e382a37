"""Tests of the conversion of config values to dataclasses."""

import pytest

from specjax.cli.config import to_dataclass
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
