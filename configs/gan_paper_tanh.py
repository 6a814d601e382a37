"""The paper's second approach: like `gan_paper_relu`, with other kernels, and generators that end in a tanh.

python -m specjax.train --config=gan_paper_tanh --config.data.source=path/to/genres
python -m specjax.train --config=gan_paper_tanh      (synthetic music)
"""

from dataclasses import asdict

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.papers.melody.config import GanConfig
from specjax.papers.melody.representation import Representation

TRAIN = TrainConfig(
    steps=15_000, batch_size=10, eval_every=1500, eval_batch=10, checkpoint_every=1500, sample_every=1500
)
GAN = GanConfig(representation=Representation("signed_power"), approach="tanh", ensemble=True)


def get_config() -> ConfigDict:
    """Return the config."""
    return ConfigDict({"task": "melody/gan", **asdict(TRAIN), **asdict(GAN)})
