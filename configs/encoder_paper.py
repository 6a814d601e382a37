"""Training of the encoder as in the paper (section 4.1): one random triplet per update, mel power, 15 epochs.

python -m specjax.train --config=encoder_paper --config.data.source=path/to/museum
python -m specjax.train --config=encoder_paper      (synthetic museum)
"""

from dataclasses import asdict

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.papers.mvnet.dataset import MuseumConfig
from specjax.papers.mvnet.encoder import EncoderConfig
from specjax.papers.mvnet.representation import Representation
from specjax.papers.mvnet.triplets import TripletConfig

TRAIN = TrainConfig(
    steps=22_500, batch_size=1, eval_every=1500, eval_batch=40, checkpoint_every=1500, sample_every=1500
)
ENCODER = EncoderConfig(
    data=MuseumConfig(representation=Representation("power"), pairing="paper"), triplets=TripletConfig("random")
)


def get_config() -> ConfigDict:
    """Return the config."""
    return ConfigDict({"task": "mvnet/encoder", **asdict(TRAIN), **asdict(ENCODER)})
