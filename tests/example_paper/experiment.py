"""Fit a line to 64 points.

Hardware: a second of one CPU core.
"""

from dataclasses import asdict

from ml_collections import ConfigDict

from example_paper.config import LineConfig
from specjax.engine.config import TrainConfig


def get_config() -> ConfigDict:
    """Return the config."""
    return ConfigDict({"task": "example/line", **asdict(TrainConfig(steps=60, batch_size=8)), **asdict(LineConfig())})
