"""GAN that generates waves of 10 s of music in ten genres: a small WaveGAN.

Hardware: two CPU cores; the full size has not been measured. An update of `tiny` takes about 40 ms on one core.

    python -m specjax.train --config=melody_wave --config.data.source=path/to/genres --config.judge=bundles/judge
    python -m specjax.train --config=melody_wave:tiny      (synthetic music)
"""

from dataclasses import asdict, replace

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.nn.adversarial import PenaltyConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.melody.wave.config import WaveConfig
from specjax.papers.melody.wave.model import WaveModelConfig

OPTIMIZER = OptimizerConfig(learning_rate=ScheduleSpec("cosine", value=1e-3, end=1e-4), b1=0.0, b2=0.99)
WAVE = WaveConfig(
    penalty=PenaltyConfig("difference", ScheduleSpec(value=0.1)),
    generator=replace(OPTIMIZER, ema_decay=0.99),
    discriminator=OPTIMIZER,
)
TRAIN = TrainConfig(steps=4000, batch_size=10, eval_every=500, eval_batch=5, checkpoint_every=500, sample_every=1000)


def get_config(variant: str = "") -> ConfigDict:
    """Return the config.

    Args:
      variant: empty for the full networks, `tiny` for narrow ones, short waves and a short training run.

    Raises:
      ValueError: the variant is unknown.
    """
    wave, train = WAVE, TRAIN
    if variant == "tiny":
        wave = replace(
            wave,
            data=replace(wave.data, synthetic_tracks=8),
            model=WaveModelConfig(widths=(16, 24, 32, 48, 64), whole_latents=32, local_latents=8),
            window=16_384,
        )
        train = replace(train, steps=600, eval_every=200, checkpoint_every=200, sample_every=200)
    elif variant:
        raise ValueError(f"melody_wave:{variant} is unknown: choose melody_wave or its variant tiny")
    return ConfigDict({"task": "melody/wave", **asdict(train), **asdict(wave)})
