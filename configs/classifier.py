"""Classifier of environmental sounds whose input channels are frequency bins, with the settings of the paper's author.

Hardware: see docs/texture.md for minutes and accuracies.

    python -m specjax.train --config=classifier --config.data.source=path/to/ESC-50
    python -m specjax.train --config=classifier:tiny      (synthetic sounds, narrow network: a minute on two cores)
"""

from dataclasses import asdict, replace

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.texture.config import ClassifierConfig
from specjax.papers.texture.data import SoundsConfig
from specjax.papers.texture.model import ModelConfig

# The author's: Adam with a learning rate of 0.01 and epsilon 1; 100 epochs of 1600 sounds in batches of 20.
CLASSIFIER = ClassifierConfig(optimizer=OptimizerConfig(learning_rate=ScheduleSpec(value=0.01), epsilon=1.0))
TRAIN = TrainConfig(steps=8000, batch_size=20, eval_every=800, eval_batch=20, checkpoint_every=800)


def get_config(variant: str = "") -> ConfigDict:
    """Return the config.

    Args:
      variant: empty for the paper's network; `tiny` for a narrow network and a short training.

    Raises:
      ValueError: the variant is unknown.
    """
    config, train = CLASSIFIER, TRAIN
    if variant == "tiny":
        config = replace(
            config,
            data=SoundsConfig(duration_s=1.5, synthetic_clips=20),
            model=ModelConfig(widths=(64, 16)),
            optimizer=OptimizerConfig(learning_rate=ScheduleSpec("cosine", value=2e-3)),
        )
        train = replace(train, steps=200, eval_every=100, checkpoint_every=100)
    elif variant:
        raise ValueError(f"classifier:{variant} is unknown: choose classifier or classifier:tiny")
    return ConfigDict({"task": "texture/classifier", **asdict(train), **asdict(config)})
