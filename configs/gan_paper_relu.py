"""The paper's third approach: ten DCGANs of linear mel power, one per genre, whose generators end in a ReLU.

As in the paper, the result is quiet, sparse noise. The config is for comparison with `gan`.

    python -m specjax.train --config=gan_paper_relu --config.data.source=path/to/genres
    python -m specjax.train --config=gan_paper_relu      (synthetic music)
"""

from dataclasses import asdict

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.papers.melody.config import GanConfig
from specjax.papers.melody.representation import Representation

# 500 epochs of 300 clips of each genre, in batches of 10 real and 10 generated ones.
TRAIN = TrainConfig(
    steps=15_000, batch_size=10, eval_every=1500, eval_batch=10, checkpoint_every=1500, sample_every=1500
)
GAN = GanConfig(representation=Representation("power"), approach="relu", ensemble=True)


def get_config() -> ConfigDict:
    """Return the config."""
    return ConfigDict({"task": "melody/gan", **asdict(TRAIN), **asdict(GAN)})
