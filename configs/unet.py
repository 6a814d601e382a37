"""U-Net that turns handwritten digits into spectrograms of major triads. Its output head can place a note in any row.

Hardware: one CPU core trains on about 120 digits per second. The 24,000 updates of 24 digits take 80 minutes.
Expected: all three notes lie in exactly the right rows for 99.5% of 10,000 held-out MNIST digits, and for 98.8% of the
examples of the digit with the most errors.

    python -m specjax.train --config=unet --config.data.source=path/to/mnist
    python -m specjax.train --config=unet:pens --config.data.source=path/to/mnist   (reads drawings by any pen)
    python -m specjax.train --config=unet:tiny      (narrow network, built-in digits: 3 minutes on two cores, 98%)
    python -m specjax.train --config=unet:small     (narrow network, 112x112 spectrograms: 1 minute on one core)
"""

from dataclasses import asdict, replace

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.chord.conditioning import Conditioning
from specjax.papers.chord.config import AugmentConfig, ChordConfig
from specjax.papers.chord.data import DigitsConfig
from specjax.papers.chord.losses import mix
from specjax.papers.chord.model import UNetConfig

STEPS = 24_000

CHORD = ChordConfig(
    data=DigitsConfig(held_out=-1),
    conditioning=Conditioning(),
    model=UNetConfig(widths=(16, 64, 128), depth=2, head="rows", init="he", labels=10, dropout=0.4, batch_norm=True),
    loss=mix(huber=1.0, rows=0.03, l1=ScheduleSpec("linear", value=0.0, end=1.0), label=1.0),
    optimizer=OptimizerConfig(
        learning_rate=ScheduleSpec("cosine", value=2e-3, warmup=200),
        clip=1.0,
        ema_decay=0.999,
    ),
    augment=AugmentConfig(max_shift=2.0, max_degrees=10.0, max_scale=0.1, max_shear=0.1),
    columns=63,
)
TRAIN = TrainConfig(steps=STEPS, batch_size=24, eval_every=2000, eval_examples=480, sample_every=8000)


def get_config(variant: str = "") -> ConfigDict:
    """Return the config.

    Args:
      variant: empty for the full network; `pens` for the same with digits that vary more, above all in the width of
        strokes; `tiny` for a narrow network and a short training; `small` for a narrow network, a short training run
        and spectrograms of 112x112, for comparisons.

    Raises:
      ValueError: the variant is unknown.
    """
    chord, train = CHORD, TRAIN
    if variant == "tiny":
        steps = 1500
        chord = replace(
            chord,
            loss=mix(huber=1.0, rows=0.03, l1=ScheduleSpec("linear", value=0.0, end=1.0), label=1.0),
            model=replace(chord.model, widths=(16, 32, 64), depth=3),
            optimizer=replace(
                chord.optimizer,
                learning_rate=ScheduleSpec("cosine", value=4e-3, warmup=50),
                ema_decay=0.98,
            ),
        )
        train = replace(train, steps=steps, eval_every=750, eval_examples=0, sample_every=0)
    elif variant == "small":
        steps = 500
        chord = replace(
            chord,
            conditioning=replace(chord.conditioning, size=112, smear_columns=2.2, fade_mean=56.0, fade_sigma=27.8),
            columns=0,
            model=replace(chord.model, widths=(8, 32, 64)),
            loss=mix(huber=1.0, rows=0.03, l1=ScheduleSpec("linear", value=0.0, end=1.0), label=1.0),
            optimizer=replace(
                chord.optimizer,
                learning_rate=ScheduleSpec("cosine", value=2e-3, warmup=50),
                ema_decay=0.99,
            ),
        )
        train = replace(train, steps=steps, eval_every=0, sample_every=0)
    elif variant == "pens":
        chord = replace(
            chord,
            augment=AugmentConfig(max_shift=2.0, max_degrees=15.0, max_scale=0.2, max_shear=0.3, max_stroke=2.0),
        )
    elif variant:
        raise ValueError(f"unet:{variant} is unknown: choose unet, unet:pens, unet:tiny or unet:small")
    return ConfigDict({"task": "chord/unet", **asdict(train), **asdict(chord)})
