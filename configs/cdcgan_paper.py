"""The paper's training of the GAN (section 4.2), with the learning rates of its code: 100 epochs of 9,000 pairs.

The text gives the generator a learning rate of 2e-3: `--config.generator.learning_rate.value=2e-3`.

    python -m specjax.train --config=cdcgan_paper --config.encoder=runs/encoder_paper      (synthetic museum)
"""

from dataclasses import asdict, replace

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.papers.mvnet.config import GanConfig

TRAIN = TrainConfig(
    steps=60_000, batch_size=15, eval_every=3000, eval_batch=60, checkpoint_every=3000, sample_every=3000
)
GAN = GanConfig(approach="paper")


def get_config() -> ConfigDict:
    """Return the config."""
    gan = replace(GAN, data=replace(GAN.data, pairing="paper"))
    return ConfigDict({"task": "mvnet/cdcgan", **asdict(TRAIN), **asdict(gan)})
