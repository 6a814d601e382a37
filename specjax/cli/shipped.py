"""Bundles, which are trained models, that come with the package."""

from pathlib import Path

FOLDER = Path(__file__).parent.parent / "bundles"
CARD = "card.json"  # file of a bundle that describes it


def names() -> list[str]:
    """Return the names of the bundles that come with the package, sorted."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{CARD}"))
