"""Configs: from `--config=NAME` and overrides on the command line to frozen dataclasses.

`get_config` in `configs/NAME.py` returns an `ml_collections.ConfigDict`. It accepts overrides by dotted keys, such as
`--config.loss.ms_ssim.value=0.1`, and checks their types. It is then converted to the dataclasses of the engine and of
a paper, which check the ranges of the values.
"""

import dataclasses
import difflib
import importlib.util
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ml_collections import ConfigDict

from specjax.cli import files
from specjax.cli.errors import UserError
from specjax.cli.paths import local_path

MAX_JSON_BYTES = 2**22
T = TypeVar("T")

_OLD_NAMES = {"optimiser": "optimizer", "weights": "loss", "average_decay": "ema_decay"}  # of version 0.1


def config_folder() -> Path:
    """Return the folder of the config files."""
    # An installed package contains the folder. In a source checkout, the folder is beside the package.
    package = Path(__file__).parent.parent
    return package / "configs" if (package / "configs").is_dir() else package.parent / "configs"


def config_names() -> list[str]:
    """Return the names that `--config` accepts, sorted."""
    return sorted(path.stem for path in config_folder().glob("*.py") if not path.stem.startswith("_"))


def resolve_config_argument(argv: Sequence[str]) -> list[str]:
    """Replace the config name in a command line by the path of the config file.

    The value of `--config` is the name of a config of specjax, such as `unet`, or the path of a `.py` file. A suffix,
    as in `unet:small`, selects a variant that the file defines; it is kept. The value may follow `=` or be the next
    argument. The result always has the form `--config=PATH` or `--config=PATH:VARIANT`. Other arguments are unchanged.

    Raises:
      UserError: the value is neither a known name nor an existing file.
    """
    resolved, arguments = [], iter(argv)
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if flag not in ("--config", "-config"):
            resolved.append(argument)
            continue
        value = value if equals else next(arguments, "")
        resolved.append(f"--config={_config_path(value)}")
    return resolved


def config_arguments(argv: Sequence[str]) -> list[str]:
    """Return the arguments `--config` and `--config.KEY` of a command line, and leave out all others.

    The value of an argument may follow `=` or be the next argument. In the result, it always follows `=`.
    """
    selected, arguments = [], iter(argv)
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        name = flag.lstrip("-")
        if flag.startswith("-") and (name == "config" or name.startswith("config.")):
            selected.append(f"--{name}={value if equals else next(arguments, '')}")
    return selected


def _config_path(value: str) -> str:
    """Convert the value of `--config` to the path of the config file, with the suffix `:VARIANT` if the value has one.

    Args:
      value: name of a config of specjax, such as `unet`, or path of a `.py` file. A suffix, as in `unet:small`, selects
        a variant that the file defines.

    Raises:
      UserError: the name is unknown, or the file does not exist.
    """
    name, colon, variant = value.partition(":")
    if name.endswith(".py"):
        path = local_path(name, "--config", "file")
        if not path.is_file():
            raise UserError(f"--config={name}: no such file; known names are {', '.join(config_names())}")
        return f"{path}{colon}{variant}"
    if name not in config_names():
        raise UserError(f"--config={name!r} is unknown: choose one of {', '.join(config_names())}, or a .py file")
    return f"{config_folder() / name}.py{colon}{variant}"


def load(value: str) -> Any:
    """Execute a config file, and return the ConfigDict that its function `get_config` returns.

    Args:
      value: name of a config of specjax, such as `unet`, or path of a `.py` file. A suffix, as in `unet:small`, selects
        a variant that the file defines.

    Raises:
      UserError: the config or the variant does not exist, or the file is not valid Python or defines no `get_config`.
    """
    path, _, variant = _config_path(value).partition(":")
    spec = importlib.util.spec_from_file_location("specjax_config", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UserError(f"--config={value}: line {error.lineno} is not valid Python: {error.msg}") from error
    if not hasattr(module, "get_config"):
        raise UserError(f"--config={value}: the file defines no function get_config, which returns the config")
    try:
        return module.get_config(variant) if variant else module.get_config()
    except (TypeError, ValueError) as error:
        raise UserError(f"--config={value}: {error}") from error


def resolve_overrides(argv: Sequence[str]) -> list[str]:
    """Check the arguments `--config=NAME:VARIANT` and `--config.KEY=VALUE` of a command line, and complete the keys.

    Names of version 0.1, such as `optimiser`, are replaced by the current ones. The key of a schedule, such as
    `optimizer.learning_rate`, stands for its `value`.

    Args:
      argv: command line. The value of `--config` must follow `=`.

    Returns:
      The command line with complete keys.

    Raises:
      UserError: the config, its variant or a key does not exist, or a key is given without `--config`.
    """
    chosen = [argument.partition("=")[2] for argument in argv if argument.startswith("--config=")]
    values = load(chosen[-1]) if chosen else None
    resolved = []
    for argument in argv:
        if argument.startswith("--config."):
            key, equals, value = argument[len("--config.") :].partition("=")
            if values is None:
                raise UserError(f"--config.{key} overrides nothing: name a config with --config=NAME")
            argument = f"--config.{_resolve_key(values, key)}{equals}{value}"
        resolved.append(argument)
    return resolved


def _resolve_key(values: Mapping[str, Any] | ConfigDict, key: str) -> str:
    """Return the complete key of a setting.

    Raises:
      UserError: the config has no such key. The message names the one that was probably meant, or all choices.
    """
    group: Any = values
    path: list[str] = []
    for name in key.split("."):
        choices = list(group) if isinstance(group, Mapping | ConfigDict) else []
        name = name if name in choices else _OLD_NAMES.get(name, name)
        if name not in choices:
            where = ".".join(["config", *path])
            near = difflib.get_close_matches(name, choices, n=1)
            hint = f"did you mean {where}.{near[0]}? Or " if near else ""
            raise UserError(
                f"{where}.{name} does not exist: {hint}choose from {', '.join(choices) or 'nothing below it'}"
            )
        group = group[name]
        path.append(name)
    if isinstance(group, Mapping | ConfigDict) and "value" in group:
        path.append("value")
    return ".".join(path)


def entries(value: str) -> dict[str, Any]:
    """Return all entries of a config by dotted key.

    Args:
      value: name or path of the config, see `load`.

    Raises:
      UserError: the config cannot be loaded.
    """
    return flatten(load(value).to_dict())


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested config values to a dict of values by dotted key."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def to_dataclass(cls: type[T], values: Mapping[str, Any], where: str = "config") -> T:
    """Create an instance of the dataclass `cls`, converting nested values to nested dataclasses, mappings and tuples.

    Args:
      cls: the dataclass.
      values: values of its fields, by name; absent fields keep their defaults.
      where: name of `values` in error messages.

    Raises:
      UserError: a key is unknown (the message lists the choices), a type is wrong, or the dataclass rejects a value.
    """
    hints = typing.get_type_hints(cls)
    if unknown := sorted(set(values) - set(hints)):
        raise UserError(f"{where}.{unknown[0]} does not exist: choose from {', '.join(hints)}")
    infinite = {
        f.name: f.default for f in dataclasses.fields(typing.cast(Any, cls)) if f.default in (math.inf, -math.inf)
    }
    fields = {
        name: value if value == infinite.get(name, math.nan) else _convert(hints[name], value, f"{where}.{name}")
        for name, value in values.items()
    }
    try:
        return cls(**fields)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def split(values: Mapping[str, Any], cls: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split `values` into two dicts: entries whose keys are fields of the dataclass `cls`, and all others."""
    names = {field.name for field in dataclasses.fields(cls)}
    fields = {key: value for key, value in values.items() if key in names}
    return fields, {key: value for key, value in values.items() if key not in names}


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Convert `value` to the annotated type `hint`.

    Args:
      hint: annotation of a dataclass field.
      value: value from a config.
      where: name of the value in error messages.

    Raises:
      UserError: the value has the wrong type.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    is_mapping = isinstance(origin, type) and issubclass(origin, Mapping)
    if (is_mapping or dataclasses.is_dataclass(hint)) and not isinstance(value, Mapping):
        raise UserError(f"{where}={value!r} is not a group of settings: set its members, such as {where}.NAME=...")
    if dataclasses.is_dataclass(hint):
        return to_dataclass(typing.cast(type, hint), value, where)
    if is_mapping:
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if origin is types.UnionType and len(others := [a for a in arguments if a is not types.NoneType]) == 1:
        return None if value is None else _convert(others[0], value, where)
    if origin is typing.Literal or origin is types.UnionType:
        return value
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise UserError(f"{where}={value} has more than 64 bits: choose a smaller integer")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{where}={value!r} is not a finite number")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)):
        raise UserError(f"{where}={value!r} is of type {type(value).__name__}, expected {hint.__name__}")
    return value


def _convert_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    """Convert a list or tuple to a tuple, with each item converted to its annotated type.

    Args:
      arguments: result of `typing.get_args` for the annotation: the type of each item, or a type and an `Ellipsis` for
        any number of items of that type.
      value: value from a config.
      where: name of the value in error messages.

    Raises:
      UserError: the value is no list or tuple, or has the wrong length, or an item has the wrong type.
    """
    if not isinstance(value, list | tuple):
        example = _example(tuple[arguments])
        raise UserError(f"{where}={value!r} is of type {type(value).__name__}, expected a tuple such as {example!r}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(value) != len(arguments):
        example = _example(tuple[arguments])
        raise UserError(f"{where}={value!r} has {len(value)} values, expected {len(arguments)}, such as {example!r}")
    return tuple(
        _convert(hint, item, f"{where}[{i}]") for i, (hint, item) in enumerate(zip(arguments, value, strict=True))
    )


def _example(hint: Any) -> Any:
    """Return an example of a value of an annotated type, for error messages."""
    if typing.get_origin(hint) is tuple:
        arguments = typing.get_args(hint)
        return tuple(_example(arguments[0] if argument is Ellipsis else argument) for argument in arguments)
    return {int: 1, float: 0.5, str: "name", bool: True}.get(hint, ...)


def read_json(path: Path) -> dict[str, Any]:
    """Read a small file that holds a JSON object and return that, after the checks of `parse_json`.

    Raises:
      UserError: the file is missing, unreadable, not a regular file, larger than `MAX_JSON_BYTES`, or not valid.
    """
    try:
        content = parse_json(files.read_regular(path, MAX_JSON_BYTES))
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}, expected an object such as {{}}")
        return content
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error


def parse_json(text: str | bytes) -> Any:
    """Parse JSON that may be damaged or hostile.

    Raises:
      ValueError: it is not JSON, nests too deeply, or holds a number that is not finite or an integer beyond 64 bits.
    """
    try:
        return json.loads(text, parse_constant=_parse_float, parse_float=_parse_float, parse_int=_parse_int)
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error


def _parse_float(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is not a finite number")
    return value


def _parse_int(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) >= 2**63:
        raise ValueError(f"the number {text[:25]} does not fit into 64 bits")
    return value
