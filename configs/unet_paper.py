"""Digits to major triads as the chord paper and its authors' code do it, flaws included.

Hardware: two CPU cores make about 15 digits a second: an hour is 2,200 updates of 24. The paper's "150k steps" count
samples, which is 6,250 updates.
Expected: no exact triad at all. Bilinear upsampling and a 3x3 convolution cannot place a maximum in a chosen row.

    python -m specjax.train --config=unet_paper --config.data.source=path/to/mnist
"""

from dataclasses import asdict

from ml_collections import ConfigDict

from specjax.chord.conditioning import Conditioning
from specjax.chord.config import ChordConfig
from specjax.chord.loss import AUTHORS_SCALES, LossConfig, mix
from specjax.chord.model import UNetConfig
from specjax.chord.synth import SoundConfig
from specjax.engine.clock import TrainConfig
from specjax.optim.optimiser import OptimiserConfig
from specjax.optim.schedules import ScheduleSpec

CHORD = ChordConfig(
    # The literal triad rows of a digit are blank (see Conditioning.carry), so they carry its envelope here too.
    conditioning=Conditioning(resampling="fft", quantise=True),
    model=UNetConfig(),
    loss=LossConfig(huber_delta=1.0, ms_ssim_weights=AUTHORS_SCALES),
    weights=mix(huber=0.65, ms_ssim=0.34, fft=1e-4),
    optimiser=OptimiserConfig(learning_rate=ScheduleSpec(value=1e-4)),
    sound=SoundConfig(octave=3, exact=False),
)
TRAIN = TrainConfig(steps=6_250, batch_size=24, eval_every=500, eval_examples=480, sample_every=1000)


def get_config() -> ConfigDict:
    """The config."""
    return ConfigDict({"wing": "chord", **asdict(TRAIN), **asdict(CHORD)})
