"""The paper's first approach: ten DCGANs, one per genre, of pictures of mel spectrograms of 288 x 432 pixels.

Pictures have no sound. The folder of pictures has one subfolder of PNG files per genre, as `images_original` of GTZAN.

    python -m specjax.train --config=gan_images --config.data.source=path/to/images_original
    python -m specjax.train --config=gan_images      (pictures of synthetic music)
"""

from dataclasses import asdict

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.papers.melody.images import ImagesConfig

# About 500 epochs of 100 pictures of each genre, in batches of 10 real and 10 generated ones.
TRAIN = TrainConfig(steps=5000, batch_size=10, eval_every=500, eval_batch=10, checkpoint_every=500, sample_every=500)
IMAGES = ImagesConfig()


def get_config() -> ConfigDict:
    """Return the config."""
    return ConfigDict({"task": "melody/images", **asdict(TRAIN), **asdict(IMAGES)})
