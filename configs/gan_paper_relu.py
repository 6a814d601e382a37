"""The paper's third approach: ten DCGANs, one for each genre, of linear mel power, whose generators end in a ReLU.

Its outcome is the paper's: quiet, sparse noise. It is here for comparison with `gan`.

    python -m specjax.train --config=gan_paper_relu --config.data.source=path/to/genres
    python -m specjax.train --config=gan_paper_relu      (synthetic band)
"""

from dataclasses import asdict

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.papers.melody.config import GanConfig
from specjax.papers.melody.representation import Representation

# 500 passes over 300 clips of each genre, in batches of 10 real and 10 generated ones.
TRAIN = TrainConfig(
    steps=15_000, batch_size=10, eval_every=1500, eval_batch=10, checkpoint_every=1500, sample_every=1500
)
GAN = GanConfig(representation=Representation("power"), approach="relu", ensemble=True)


def get_config() -> ConfigDict:
    """Return the config."""
    return ConfigDict({"task": "melody/gan", **asdict(TRAIN), **asdict(GAN)})
