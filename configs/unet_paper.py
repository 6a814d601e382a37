"""Digits to major triads as the chord paper and its authors' code do it, flaws included.

Hardware: two CPU cores make about 15 digits a second: an hour is 2,200 updates of 24. The paper's "150k steps" count
samples, which is 6,250 updates.
Expected: no exact triad at all. Bilinear upsampling and a 3x3 convolution cannot place a maximum in a chosen row.

    python -m specjax.train --config=unet_paper --config.data.source=path/to/mnist
"""

from dataclasses import asdict

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.chord.conditioning import Conditioning
from specjax.papers.chord.config import ChordConfig
from specjax.papers.chord.losses import AUTHORS_SCALES, LossOptions, mix
from specjax.papers.chord.model import UNetConfig
from specjax.papers.chord.sound import SoundConfig

CHORD = ChordConfig(
    # The literal triad rows of a digit are blank (see Conditioning.carry), so they carry its envelope here too.
    conditioning=Conditioning(resampling="fft", quantise=True),
    model=UNetConfig(),
    loss_options=LossOptions(huber_delta=1.0, ms_ssim_weights=AUTHORS_SCALES),
    loss=mix(huber=0.65, ms_ssim=0.34, fft=1e-4),
    optimizer=OptimizerConfig(learning_rate=ScheduleSpec(value=1e-4)),
    sound=SoundConfig(octave=3, exact=False),
)
TRAIN = TrainConfig(steps=6_250, batch_size=24, eval_every=500, eval_examples=480, sample_every=1000)


def get_config() -> ConfigDict:
    """The config."""
    return ConfigDict({"task": "chord/unet", **asdict(TRAIN), **asdict(CHORD)})
