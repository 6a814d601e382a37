"""Causal transformer that generates mel spectrograms of music in ten genres, block by block, of any duration.

Hardware: two CPU cores, about 0.35 s of CPU time per update.
Expected on synthetic music: a held-out loss of -1.54; a judge assigns 98% of the clips to the intended genre
(docs/melody.md).

    python -m specjax.train --config=melody_transformer --config.data.source=path/to/genres \
        --config.judge=bundles/judge
    python -m specjax.train --config=melody_transformer:tiny      (synthetic music)
"""

from dataclasses import asdict, replace

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.melody.tracks import MusicConfig
from specjax.papers.melody.transformer.config import ModelConfig, TransformerConfig

TRANSFORMER = TransformerConfig(
    data=MusicConfig(hop_s=2.0),
    optimizer=OptimizerConfig(
        learning_rate=ScheduleSpec("cosine", value=2e-3, end=1e-4, warmup=50), b2=0.98, clip=1.0, ema_decay=0.99
    ),
)
TRAIN = TrainConfig(steps=4000, batch_size=10, eval_every=500, eval_batch=4, checkpoint_every=500, sample_every=1000)


def get_config(variant: str = "") -> ConfigDict:
    """Return the config.

    Args:
      variant: empty for the full network, `tiny` for a narrow one and a short training run.

    Raises:
      ValueError: the variant is unknown.
    """
    transformer, train = TRANSFORMER, TRAIN
    if variant == "tiny":
        transformer = replace(
            transformer,
            data=replace(transformer.data, synthetic_tracks=16, hop_s=5.0),
            model=ModelConfig(width=64, layers=2, heads=2),
        )
        train = replace(train, steps=600, eval_every=200, checkpoint_every=200, sample_every=200)
    elif variant:
        raise ValueError(f"melody_transformer:{variant} is unknown: choose melody_transformer or its variant tiny")
    return ConfigDict({"task": "melody/transformer", **asdict(train), **asdict(transformer)})
