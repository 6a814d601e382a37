"""Encoder of music for `cdcgan`: embeds clips of an era near each other, with triplets mined in each batch.

Hardware: an update of 40 clips takes at most 0.7 s on one CPU core; the full synthetic museum takes 5 GB of memory.
Expected: with `tiny`, which has few compositions and a short training run, the nearest training clip has the right era
for all 60 held-out clips of the synthetic museum; docs/mvnet.md has the accuracy on real music.

    python -m specjax.train  --config=encoder --config.data.source=path/to/museum --workdir=runs/encoder
    python -m specjax.export --workdir=runs/encoder --out=bundles/encoder
    python -m specjax.train  --config=encoder:tiny      (synthetic museum)
"""

from dataclasses import asdict, replace

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.mvnet.clip_augment import ClipAugmentConfig
from specjax.papers.mvnet.encoder import EncoderConfig
from specjax.papers.mvnet.triplets import TripletConfig

ENCODER = EncoderConfig(
    widths=(16, 32, 64),
    pooling="moments",
    triplets=TripletConfig("semi_hard"),
    augment=ClipAugmentConfig(max_band_shift=1, max_gain_db=3.0, max_tilt_db=3.0, time_masks=2, band_masks=2),
    optimizer=OptimizerConfig(learning_rate=ScheduleSpec("cosine", value=1e-3, warmup=50), clip=5.0, weight_decay=0.05),
)
TRAIN = TrainConfig(steps=600, batch_size=40, eval_every=100, eval_batch=40, checkpoint_every=200, sample_every=200)


def get_config(variant: str = "") -> ConfigDict:
    """Return the config.

    Args:
      variant: empty for the full training run, `tiny` for a short one on fewer compositions.

    Raises:
      ValueError: the variant is unknown.
    """
    encoder, train = ENCODER, TRAIN
    if variant == "tiny":
        encoder = replace(encoder, data=replace(encoder.data, synthetic_compositions=12))
        train = replace(train, steps=200, eval_every=100, checkpoint_every=200, sample_every=100)
    elif variant:
        raise ValueError(f"encoder:{variant} is unknown: choose encoder or its variant tiny")
    return ConfigDict({"task": "mvnet/encoder", **asdict(train), **asdict(encoder)})
