"""Benchmarks of spectrograms and their inversion. This config has nothing to train.

python -m specjax.bench --config=signal --peers
"""

from dataclasses import asdict

from ml_collections import ConfigDict

from specjax.papers.texture.benchmarks import SignalConfig


def get_config() -> ConfigDict:
    """Build the config."""
    return ConfigDict({"task": "texture/signal", **asdict(SignalConfig())})
