"""Tests of config files, and of the conversion of config values to dataclasses."""

import math
from dataclasses import dataclass

import pytest

from specjax.cli.config import load, resolve_overrides, to_dataclass
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
    ("key", "complete"),
    [
        ("optimizer.learning_rate", "optimizer.learning_rate.value"),
        ("optimiser.learning_rate.kind", "optimizer.learning_rate.kind"),
        ("weights.ms_ssim", "loss.ms_ssim.value"),
        ("optimiser.average_decay", "optimizer.ema_decay"),
        ("steps", "steps"),
    ],
)
def test_keys_of_overrides_are_completed(key, complete):
    argv = ["train", "--config=unet", f"--config.{key}=1", "file"]
    assert resolve_overrides(argv) == ["train", "--config=unet", f"--config.{complete}=1", "file"]


@pytest.mark.parametrize("key", ["optimizer.learning_rate.value.x", "nothing", "steps.x"])
def test_unknown_key_of_an_override_raises(key):
    with pytest.raises(UserError, match="does not exist"):
        resolve_overrides(["train", "--config=unet", f"--config.{key}=1"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": {"clip": float("nan")}}, r"config\.optimizer\.clip=nan is not a finite number"),
        ({"augment": {"max_shift": float("inf")}}, r"config\.augment\.max_shift=inf is not a finite number"),
        ({"columns": 10**30}, "has more than 64 bits"),
        ({"curriculum": (0, 1)}, r"config\.curriculum\[0\]=0 is of type int, expected a tuple such as \(1, \(1, 1\)\)"),
    ],
)
def test_numbers_out_of_range_and_wrong_tuples_raise(values, message):
    with pytest.raises(UserError, match=message):
        to_dataclass(ChordConfig, values)


@dataclass(frozen=True)
class Bounds:
    low: float = -math.inf
    high: float = math.inf


def test_infinite_value_is_accepted_where_it_is_the_default():
    assert to_dataclass(Bounds, {"low": -math.inf, "high": 2.0}) == Bounds(high=2.0)
    with pytest.raises(UserError, match=r"config\.high=-inf is not a finite number"):
        to_dataclass(Bounds, {"high": -math.inf})


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
