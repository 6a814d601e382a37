"""Encoder of music for `cdcgan`: embeds clips of an era near each other, with triplets mined in each batch.

Hardware: an update of 40 clips takes 1.7 s on one CPU core; the full synthetic museum takes 5 GB of memory.
Expected: after 100 updates, the nearest training clip has the right era for all 300 held-out clips of the synthetic
museum. With `tiny`, which has narrow convolutions and few compositions, it does for 93% of 60 clips.

    python -m specjax.train  --config=encoder --config.data.source=path/to/museum --workdir=runs/encoder
    python -m specjax.export --workdir=runs/encoder --out=bundles/encoder
    python -m specjax.train  --config=encoder:tiny      (synthetic museum)
"""

from dataclasses import asdict, replace

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.mvnet.encoder import EncoderConfig
from specjax.papers.mvnet.triplets import TripletConfig

ENCODER = EncoderConfig(
    triplets=TripletConfig("semi_hard"),
    optimizer=OptimizerConfig(learning_rate=ScheduleSpec("cosine", value=1e-3, warmup=50), clip=5.0),
)
TRAIN = TrainConfig(steps=1500, batch_size=40, eval_every=300, eval_batch=40, checkpoint_every=300, sample_every=300)


def get_config(variant: str = "") -> ConfigDict:
    """Return the config.

    Args:
      variant: empty for the paper's network, `tiny` for a narrow one and a short training run on fewer compositions.

    Raises:
      ValueError: the variant is unknown.
    """
    encoder, train = ENCODER, TRAIN
    if variant == "tiny":
        encoder = replace(
            encoder, data=replace(encoder.data, synthetic_compositions=12), widths=(8, 16, 32, 64, 64, 64)
        )
        train = replace(train, steps=200, eval_every=100, checkpoint_every=200, sample_every=100)
    elif variant:
        raise ValueError(f"encoder:{variant} is unknown: choose encoder or its variant tiny")
    return ConfigDict({"task": "mvnet/encoder", **asdict(train), **asdict(encoder)})
