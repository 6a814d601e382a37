"""Conversion of runs and bundles of version 0.1, which used other names."""

import json
from collections.abc import Container, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

_BUNDLE_FORMAT = "specjax-bundle/1"
_TASKS = {"chord": "chord/unet"}
_EMA = ".ema_params"
_STATE_FIELDS = {".optimiser": ".opt_state", ".statistics": ".batch_stats", ".average": ".ema_params"}


def upgrade_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a config of version 0.1 to the current names; a current config is returned unchanged.

    Version 0.1 named the task `wing`, the loss weights `weights`, the other settings of the losses `loss`, and the
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
        optimizer = dict(values.pop("optimiser"))
        if "average_decay" in optimizer:
            optimizer["ema_decay"] = optimizer.pop("average_decay")
        values["optimizer"] = optimizer
    return values


def saved_names(saved: Iterable[str], expected: Container[str]) -> dict[str, str]:
    """Map the current path of each saved leaf to the path that it was saved under.

    Version 0.1 always kept a moving average. It is left out if `expected` has none.

    Args:
      saved: paths of the leaves of a checkpoint.
      expected: paths of the leaves to restore.
    """
    names = {_upgrade_leaf_path(name): name for name in saved}
    return {path: name for path, name in names.items() if path in expected or _EMA not in path}


def default_leaves(expected: Mapping[str, Any], saved: Container[str]) -> dict[str, Array]:
    """Create the leaves that version 0.1 did not save, at their initial values.

    Args:
      expected: abstract leaves to restore, with shardings, by path.
      saved: current paths of the saved leaves.
    """
    missing = {path: x for path, x in expected.items() if path.endswith(".nonfinite_leaf") and path not in saved}
    return {path: jax.device_put(jnp.full(x.shape, -1, x.dtype), x.sharding) for path, x in missing.items()}


def dropped_leaves(saved: Mapping[str, str], expected: Container[str]) -> dict[str, jax.ShapeDtypeStruct]:
    """Describe the saved leaves that are not needed. Orbax must restore them too, because it restores all or nothing.

    Args:
      saved: dtype and shape of each saved leaf, as text such as `float32[3, 4]` by path.
      expected: saved paths of the leaves to restore.
    """
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    dropped = {}
    for name, text in saved.items():
        if name not in expected:
            dtype, _, shape = text.partition("[")
            dropped[name] = jax.ShapeDtypeStruct(json.loads(f"[{shape}"), jnp.dtype(dtype), sharding=device)
    return dropped


def _upgrade_leaf_path(path: str) -> str:
    """Replace the field names of version 0.1 in a leaf's path."""
    for old, new in _STATE_FIELDS.items():
        path = path.replace(f"{old}[", f"{new}[").replace(f"{old}.", f"{new}.")
    return path


def upgrade_card(card: Any, format_: str) -> Any:
    """Convert a bundle's card of version 0.1 to the current names and to `format_`; return anything else unchanged."""
    if not isinstance(card, dict) or card.get("format") != _BUNDLE_FORMAT or not isinstance(card.get("parts"), dict):
        return card
    parts = {name: _upgrade_part(part) for name, part in card["parts"].items()}
    wing = str(card.get("wing"))
    return {"format": format_, "task": _TASKS.get(wing, wing), "about": card.get("about"), "parts": parts}


def _upgrade_part(part: Any) -> Any:
    if not isinstance(part, dict) or not isinstance(part.get("card"), dict):
        return part
    return {**part, "card": upgrade_config(part["card"])}
