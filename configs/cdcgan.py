"""Conditional GAN that paints pictures of 64 x 64 pixels from clips of music.

Hardware: an update of 20 pictures takes 0.7 s on one CPU core. `tiny` has narrow networks and a small synthetic museum;
its 1000 updates take about 4 minutes on two cores.
Expected: pictures of five eras that are lighter for brighter music; docs/mvnet.md has the metrics.

    python -m specjax.train --config=cdcgan --config.encoder=runs/encoder --config.data.source=path/to/museum
    python -m specjax.train --config=cdcgan:tiny --config.encoder=runs/encoder      (synthetic museum)
"""

from dataclasses import asdict, replace

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.nn.adversarial import PenaltyConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.mvnet.augment import AugmentConfig
from specjax.papers.mvnet.conditions import ConditionConfig
from specjax.papers.mvnet.config import GanConfig
from specjax.papers.mvnet.model import ModelConfig

OPTIMIZER = OptimizerConfig(learning_rate=ScheduleSpec("cosine", value=5e-4, end=5e-5), b1=0.0, b2=0.99)
GAN = GanConfig(
    condition=ConditionConfig(spread=0.5, features=True, noise=0.05, fade_from=0.1, fade_to=0.3),
    balanced=True,
    loss="relativistic",
    penalty=PenaltyConfig("difference", ScheduleSpec("cosine", value=1.0, end=0.1)),
    augment=AugmentConfig(color=0.2, translation=0.125, cutout=0.5),
    generator=replace(OPTIMIZER, ema_decay=0.998),
    discriminator=OPTIMIZER,
)
TRAIN = TrainConfig(
    steps=6000, batch_size=20, eval_every=500, eval_batch=60, checkpoint_every=500, sample_every=500, log_every=20
)


def get_config(variant: str = "") -> ConfigDict:
    """Return the config.

    Args:
      variant: empty for the full networks, `tiny` for narrow ones and a short training run.

    Raises:
      ValueError: the variant is unknown.
    """
    gan, train = GAN, TRAIN
    if variant == "tiny":
        gan = replace(
            gan,
            data=replace(gan.data, synthetic_compositions=12),
            model=ModelConfig(widths=(24, 48, 64), latents=32, features=128),
            generator=replace(gan.generator, ema_decay=0.99),
        )
        train = replace(train, steps=1000, eval_every=250, checkpoint_every=500, sample_every=250)
    elif variant:
        raise ValueError(f"cdcgan:{variant} is unknown: choose cdcgan or its variant tiny")
    return ConfigDict({"task": "mvnet/cdcgan", **asdict(train), **asdict(gan)})
