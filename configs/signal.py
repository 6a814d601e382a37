"""Config of the benchmarks of spectrograms and their inversion. It cannot be trained.

python -m specjax.bench --config=signal --peers
"""

from dataclasses import asdict

from ml_collections import ConfigDict

from specjax.papers.texture.benchmarks import SignalConfig


def get_config() -> ConfigDict:
    """Return the config: the task name and the fields of `SignalConfig`."""
    return ConfigDict({"task": "texture/signal", **asdict(SignalConfig())})
