"""Spectrograms and their inversion, to be timed: nothing here is trained.

python -m specjax.bench --config=signal --peers
"""

from dataclasses import asdict

from ml_collections import ConfigDict

from specjax.papers.texture.benchmarks import SignalConfig


def get_config() -> ConfigDict:
    """The config."""
    return ConfigDict({"task": "texture/signal", **asdict(SignalConfig())})
