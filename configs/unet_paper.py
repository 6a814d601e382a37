"""U-Net that turns handwritten digits into spectrograms of major triads, as in the chord paper and its authors' code.

Known flaws are kept.

Hardware: two CPU cores train on about 15 digits per second, which is 2,200 updates of 24 digits per hour. The paper's
"150k steps" count digits, so they are 6,250 updates.
Expected: no spectrogram has all three notes in exactly the right rows. The output head, bilinear upsampling and a 3x3
convolution, cannot place a maximum in a chosen row.

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
    # In the paper's formula the rows of a triad would be blank (see `Conditioning.carry`), so `envelope` is kept here.
    conditioning=Conditioning(resampling="fft", quantise=True),
    model=UNetConfig(),
    loss_options=LossOptions(huber_delta=1.0, ms_ssim_weights=AUTHORS_SCALES),
    loss=mix(huber=0.65, ms_ssim=0.34, fft=1e-4),
    optimizer=OptimizerConfig(learning_rate=ScheduleSpec(value=1e-4)),
    sound=SoundConfig(octave=3, exact=False),
)
TRAIN = TrainConfig(steps=6_250, batch_size=24, eval_every=500, eval_examples=480, sample_every=1000)


def get_config() -> ConfigDict:
    """Return the config."""
    return ConfigDict({"task": "chord/unet", **asdict(TRAIN), **asdict(CHORD)})
