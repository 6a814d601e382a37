"""Names that changed since version 0.1, so that its runs and bundles still open."""

from collections.abc import Mapping
from typing import Any

_BUNDLE_FORMAT = "specjax-bundle/1"
_TASKS = {"chord": "chord/unet"}
_STATE_FIELDS = {".optimiser": ".opt_state", ".statistics": ".batch_stats", ".average": ".ema_params"}


def upgrade_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config in today's names: `wing`, `weights`, `loss` and `optimiser` of version 0.1 are renamed."""
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


def upgrade_leaf_path(path: str) -> str:
    """A checkpoint leaf's path in today's field names."""
    for old, new in _STATE_FIELDS.items():
        path = path.replace(f"{old}[", f"{new}[").replace(f"{old}.", f"{new}.")
    return path


def upgrade_card(card: Any, format_: str) -> Any:
    """A bundle's card in today's names and `format_`; anything but a card of version 0.1 is returned as it is."""
    if not isinstance(card, dict) or card.get("format") != _BUNDLE_FORMAT or not isinstance(card.get("parts"), dict):
        return card
    parts = {name: _upgrade_part(part) for name, part in card["parts"].items()}
    wing = str(card.get("wing"))
    return {"format": format_, "task": _TASKS.get(wing, wing), "about": card.get("about"), "parts": parts}


def _upgrade_part(part: Any) -> Any:
    if not isinstance(part, dict) or not isinstance(part.get("card"), dict):
        return part
    return {**part, "card": upgrade_config(part["card"])}
