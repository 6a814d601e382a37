"""Conversion of runs and bundles that version 0.1 of specjax wrote, which used other names."""

import json
from collections.abc import Container, Iterable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array

T = TypeVar("T")

_BUNDLE_FORMAT = "specjax-bundle/1"
_TASKS = {"chord": "chord/unet"}
_NAMES = {"average_decay": "ema_decay"}
_EMA = ".ema_params"
_STATE_FIELDS = {".optimiser": ".opt_state", ".statistics": ".batch_stats", ".average": ".ema_params"}


def upgrade_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a config of version 0.1 to the current names. A current config is returned unchanged.

    Version 0.1 called the task `wing`, the loss weights `weights`, the other settings of the losses `loss`, and the
    optimizer `optimiser`.
    """
    values = dict(config)
    if "wing" in values:
        wing = values.pop("wing")
        values["task"] = _TASKS.get(wing, wing)
    if "weights" in values:
        values["loss_options"] = values.pop("loss", {})
        values["loss"] = values.pop("weights")
    if "optimiser" in values:
        optimizer = values.pop("optimiser")
        values["optimizer"] = upgrade_names(optimizer) if isinstance(optimizer, Mapping) else optimizer
    return values


def upgrade_names(values: Mapping[str, T]) -> dict[str, T]:
    """Convert the names of settings in version 0.1 of specjax to the current ones. Unchanged names are kept.

    Args:
      values: optimizer settings by name, or live values (settings that may be changed while training runs) by name.
    """
    return {_NAMES.get(name, name): value for name, value in values.items()}


def saved_names(saved: Iterable[str], expected: Container[str]) -> dict[str, str]:
    """Map current leaf paths to leaf paths in a checkpoint.

    The paths differ if version 0.1 of specjax wrote the checkpoint. The result omits the moving average of the
    parameters (`ema_params`) unless `expected` contains it.

    Args:
      saved: leaf paths in the checkpoint.
      expected: current paths of the leaves to restore.

    Returns:
      Dict from current path to path in the checkpoint.
    """
    # Version 0.1 saved a moving average in every run, even if the config did not ask for one.
    names = {_upgrade_leaf_path(name): name for name in saved}
    return {path: name for path, name in names.items() if path in expected or _EMA not in path}


def default_leaves(expected: Mapping[str, Any], saved: Container[str]) -> dict[str, Array]:
    """Create every leaf `nonfinite_leaf` that is missing in a checkpoint. Checkpoints of version 0.1 have none.

    The value is -1, which means that all gradients were finite in the latest update.

    Args:
      expected: leaves to restore by path, as `jax.ShapeDtypeStruct`s with shardings.
      saved: paths of the leaves in the checkpoint, converted to the current names.

    Returns:
      The missing leaves, by path.
    """
    missing = {path: x for path, x in expected.items() if path.endswith(".nonfinite_leaf") and path not in saved}
    return {path: jax.device_put(jnp.full(x.shape, -1, x.dtype), x.sharding) for path, x in missing.items()}


def dropped_leaves(saved: Mapping[str, str], expected: Container[str]) -> dict[str, jax.ShapeDtypeStruct]:
    """Describe the leaves of a checkpoint that the caller does not use, so that Orbax can read them.

    Orbax restores either all leaves of a checkpoint or none, so the unused ones must be read too.

    Args:
      saved: dtype and shape of each leaf in the checkpoint, as text such as `float32[3, 4]` by path.
      expected: paths of the leaves that the caller uses, as in the checkpoint.

    Returns:
      Shape and dtype of every other leaf, by path as in the checkpoint. The sharding puts each on one local device.
    """
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    dropped = {}
    for name, text in saved.items():
        if name not in expected:
            dtype, _, shape = text.partition("[")
            dropped[name] = jax.ShapeDtypeStruct(json.loads(f"[{shape}"), jnp.dtype(dtype), sharding=device)
    return dropped


def _upgrade_leaf_path(path: str) -> str:
    """Replace the field names of version 0.1 in the path of a leaf by the current ones."""
    for old, new in _STATE_FIELDS.items():
        path = path.replace(f"{old}[", f"{new}[").replace(f"{old}.", f"{new}.")
    return path


def upgrade_card(card: dict[str, Any], format_: str) -> dict[str, Any]:
    """Convert the card (JSON description) of a bundle from version 0.1 to the current version.

    Args:
      card: content of the JSON file. It is returned unchanged unless it is a card of version 0.1.
      format_: value of `format` in the converted card: the name of the current bundle format.
    """
    if card.get("format") != _BUNDLE_FORMAT or not isinstance(card.get("parts"), dict):
        return card
    parts = {name: _upgrade_part(part) for name, part in card["parts"].items()}
    wing = str(card.get("wing"))
    return {"format": format_, "task": _TASKS.get(wing, wing), "about": card.get("about"), "parts": parts}


def _upgrade_part(part: Any) -> Any:
    """Convert the settings of one part of a bundle, such as a network, from version 0.1 to the current names.

    Args:
      part: description of the part in the JSON file of the bundle, with the settings under the key `card`. It is
        returned unchanged if it has another form.
    """
    if not isinstance(part, dict) or not isinstance(part.get("card"), dict):
        return part
    return {**part, "card": upgrade_config(part["card"])}
