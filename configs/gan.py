"""GAN that writes mel spectrograms of 10 s of music in ten genres.

Hardware: to be measured. `tiny` takes 0.15 s of one CPU core per update.
Expected: to be measured. After 600 of the 900 updates of `tiny`, a judge named the wanted one of the five genres for
93% of 120 generated clips; the logged `level_db` was 5 dB.

    python -m specjax.train --config=gan --config.data.source=path/to/genres --config.judge=bundles/judge
    python -m specjax.train --config=gan:tiny      (five genres of the synthetic band, for `make demo-melody`)
"""

from dataclasses import asdict, replace

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.nn.adversarial import PenaltyConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.melody.config import AugmentConfig, GanConfig
from specjax.papers.melody.model import ModelConfig
from specjax.papers.melody.tracks import MusicConfig

OPTIMIZER = OptimizerConfig(learning_rate=ScheduleSpec("cosine", value=5e-4, end=5e-5), b1=0.0, b2=0.99)
GAN = GanConfig(
    data=MusicConfig(hop_s=2.0),
    model=ModelConfig("channels", widths=(192, 256, 256)),
    loss="relativistic",
    penalty=PenaltyConfig("difference", ScheduleSpec(value=1.0)),
    augment=AugmentConfig(enabled=True, time_masks=0, mel_masks=0),
    generator=replace(OPTIMIZER, ema_decay=0.99),
    discriminator=OPTIMIZER,
)
DEMO_GENRES = ("classical", "disco", "hiphop", "metal", "reggae")  # those of judge_genre:tiny
TRAIN = TrainConfig(steps=4000, batch_size=10, eval_every=500, eval_batch=10, checkpoint_every=500, sample_every=1000)


def get_config(variant: str = "") -> ConfigDict:
    """Return the config.

    Args:
      variant: empty for the full networks, `tiny` for narrow ones and a short training.

    Raises:
      ValueError: the variant is unknown.
    """
    gan, train = GAN, TRAIN
    if variant == "tiny":
        gan = replace(
            gan,
            data=replace(gan.data, genres=DEMO_GENRES, synthetic_tracks=20, hop_s=5.0),
            model=ModelConfig("channels", widths=(64, 64, 96), trunk_width=96, whole_latents=32, local_latents=8),
            augment=replace(gan.augment, max_gain_db=0.0),
            generator=replace(gan.generator, ema_decay=0.995),
        )
        train = replace(train, steps=900, eval_every=300, checkpoint_every=300, sample_every=300)
    elif variant:
        raise ValueError(f"gan:{variant} is unknown: choose gan or its variant tiny")
    return ConfigDict({"task": "melody/gan", **asdict(train), **asdict(gan)})
